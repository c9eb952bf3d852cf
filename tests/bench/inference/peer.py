"""One peer as a process: answers the same lines as tests/bench/bench_inference.

    python peer.py prepare FOLDER WORK          exports and quantises the model into WORK
    python peer.py NAME FOLDER WORK THREADS     serves lines of standard input:

    measure FILE BATCH FLIGHT SECONDS   texts/s, P50 and P99 in ms of a call of BATCH texts
    vectors FILE OUT                    writes all vectors to OUT, float32; their number

From texts to unit vectors, as a user of the package would: its own tokenizer, no truncation below
the model's 256 tokens, padding to the longest text of a call. FLIGHT is ignored: a peer has one call
under way, with all its threads.
"""
import glob
import json
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")
os.environ.update(TOKENIZERS_PARALLELISM="false", TRANSFORMERS_VERBOSITY="error", HF_HUB_OFFLINE="1",
                  HF_HUB_DISABLE_PROGRESS_BARS="1")
import numpy  # noqa: E402

MAX_TOKENS = 256
FLOAT, INT8 = "model.onnx", "model-int8.onnx"
GGUF = "model-f16.gguf"


def sentence_transformers(precision):
    def load(folder, _work, threads):
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        model = SentenceTransformer(folder, device="cpu", model_kwargs={"dtype": getattr(torch, precision)})
        model.max_seq_length = MAX_TOKENS

        def embed(texts):
            out = model.encode(texts, batch_size=len(texts), normalize_embeddings=True, convert_to_tensor=True,
                               show_progress_bar=False)
            return out.float().numpy()
        return embed
    return load


def onnx_runtime(file):
    def load(folder, work, threads):
        import onnxruntime
        from tokenizers import BertWordPieceTokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(os.path.join(work, file), options, providers=["CPUExecutionProvider"])
        tokenizer = BertWordPieceTokenizer(os.path.join(folder, "vocab.txt"), lowercase=True)
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.enable_padding()

        def embed(texts):
            rows = tokenizer.encode_batch(texts)
            ids = numpy.array([r.ids for r in rows], dtype=numpy.int64)
            mask = numpy.array([r.attention_mask for r in rows], dtype=numpy.int64)
            out = session.run(None, {"input_ids": ids, "attention_mask": mask,
                                     "token_type_ids": numpy.zeros_like(ids)})[0]
            weights = mask[:, :, None].astype(numpy.float32)
            pooled = (out * weights).sum(1) / weights.sum(1)
            return pooled / numpy.linalg.norm(pooled, axis=1, keepdims=True)
        return embed
    return load


def llama_cpp(folder, work, threads):
    import llama_cpp

    # Attention is masked over a whole micro-batch, so a larger one is slower.
    model = llama_cpp.Llama(os.path.join(work, GGUF), embedding=True, n_ctx=512, n_batch=512, n_ubatch=512,
                            n_seq_max=32, n_threads=threads, n_threads_batch=threads, verbose=False)
    return lambda texts: numpy.array(model.embed(texts, normalize=True), dtype=numpy.float32)


PEERS = {
    "torch-fp32": sentence_transformers("float32"),
    "torch-bf16": sentence_transformers("bfloat16"),
    "ort-fp32": onnx_runtime(FLOAT),
    "ort-int8": onnx_runtime(INT8),
    "llama-f16": llama_cpp,
}


def export(folder, work):
    """The graph of torch, fused by ONNX Runtime's optimizer for transformers; then its dynamic int8."""
    import onnx
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from transformers import AutoModel

    class Hidden(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)[0]

    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    ids = torch.randint(5, 1000, (2, 16))
    plain = os.path.join(work, "plain.onnx")
    torch.onnx.export(Hidden(model), (ids, torch.ones_like(ids), torch.zeros_like(ids)), plain, input_names=names,
                      output_names=["hidden"], dynamo=False, opset_version=17,
                      dynamic_axes={name: {0: "texts", 1: "tokens"} for name in names + ["hidden"]})
    config = model.config
    fused = optimizer.optimize_model(plain, model_type="bert", num_heads=config.num_attention_heads,
                                     hidden_size=config.hidden_size)
    counts = fused.get_fused_operator_statistics()
    if counts["Attention"] != config.num_hidden_layers:
        sys.exit(f"peer: the graph was not fused: {counts}")
    fused.save_model_to_file(os.path.join(work, FLOAT))
    quantize_dynamic(os.path.join(work, FLOAT), os.path.join(work, INT8), weight_type=QuantType.QInt8,
                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
    os.remove(plain)


def convert(folder, work):
    """llama.cpp's file, by the script in the package's own source (unpacked in WORK/llama)."""
    import subprocess

    scripts = glob.glob(os.path.join(work, "llama", "**", "convert_hf_to_gguf.py"), recursive=True)
    if not scripts:
        sys.exit("peer: no convert_hf_to_gguf.py below " + os.path.join(work, "llama"))
    subprocess.run([sys.executable, scripts[0], folder, "--outtype", "f16", "--outfile", os.path.join(work, GGUF)],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure(embed, texts, batch, seconds):
    times, at, done = [], 0, 0
    start = time.perf_counter()
    end = start + seconds
    while time.perf_counter() < end:
        some = [texts[(at + i) % len(texts)] for i in range(batch)]
        begin = time.perf_counter()
        embed(some)
        times.append(time.perf_counter() - begin)
        at += batch
        done += batch
    took = time.perf_counter() - start
    times.sort()
    quantile = [1e3 * times[min(len(times) - 1, int(q * len(times)))] for q in (0.5, 0.99)]
    return f"{done / took:.3f} {quantile[0]:.6f} {quantile[1]:.6f}"


def vectors(embed, texts, path):
    numpy.concatenate([embed([text]) for text in texts]).astype("<f4").tofile(path)
    return str(len(texts))


def main():
    if sys.argv[1] == "prepare":
        folder, work = sys.argv[2:4]
        if not os.path.exists(os.path.join(work, INT8)):
            export(folder, work)
        if not os.path.exists(os.path.join(work, GGUF)):
            convert(folder, work)
        return
    name, folder, work, threads = sys.argv[1:5]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a package prints is no answer
    embed = PEERS[name](folder, work, int(threads))
    for line in sys.stdin:
        word, file, *rest = line.split()
        with open(file, encoding="utf-8") as f:
            texts = json.load(f)["texts"]
        answer = measure(embed, texts, int(rest[0]), float(rest[2])) if word == "measure" else \
            vectors(embed, texts, rest[0])
        print(answer, file=answers, flush=True)


main()

/* The registry: a row per setting, by scope and name. */
#include "base/setting.h"

/* LAST_PORT: the highest port that the stack publishes. MAX_WIDTH: dimension of the widest vector. */
enum { LAST_PORT = 50053, MAX_WIDTH = 8192, DAY = 86400, TEN_YEARS = 3650 * DAY };

#define ALSO(...) { __VA_ARGS__ }
#define NO_ALIAS { NULL }
#define ROW(name, aliases, type, fallback, min, max, choices, help) \
	{ name, aliases, SCOPE, SUTRA_SET_##type, fallback, min, max, choices, help }
#define INT_ALSO(name, aliases, fallback, min, max, help) \
	ROW(name, ALSO aliases, INT, fallback, min, max, NULL, help)
#define TEXT_ALSO(name, aliases, fallback, help) \
	ROW(name, ALSO aliases, STRING, fallback, 0, 0, NULL, help)
#define INT(name, fallback, min, max, help) ROW(name, NO_ALIAS, INT, fallback, min, max, NULL, help)
#define TEXT(name, fallback, help) ROW(name, NO_ALIAS, STRING, fallback, 0, 0, NULL, help)
#define FLAG(name, fallback, help) ROW(name, NO_ALIAS, BOOL, fallback, 0, 0, NULL, help)
#define ONE_OF(name, fallback, choices, help) \
	ROW(name, NO_ALIAS, CHOICE, fallback, 0, 0, choices, help)
#define SECRET(name, help) ROW(name, NO_ALIAS, SECRET, NULL, 0, 0, NULL, help)

const struct sutra_setting sutra_settings[] = {
#define SCOPE SUTRA_OF_OPERATOR
	INT("BATCH_SIZE", "128", 1, 2048, "texts of an inference batch"),
	INT("CACHE_TIMEOUT_MS", "50", 1, 60000, "an L2 answer slower than this is a miss"),
	INT_ALSO("DEFAULT_TTL_SECONDS", ("SUTRA_CACHE_TTL"), "86400", 1, TEN_YEARS,
		 "age at which a cached vector expires"),
	ONE_OF("EVICTION_POLICY", "lru", "lru", "what a full cache shard drops"),
	INT("HTTP_BODIES_MB", NULL, 64, 1 << 20,
	    "MiB that requests under way may take in a service"),
	INT("IDLE_TIMEOUT_SECONDS", "900", 1, DAY, "storage closes a connection without a request"),
	INT_ALSO("L1_CACHE_SIZE", ("CACHE_SIZE", "EMBEDDING_CACHE_SIZE"), "10000", 1, 10000000,
		 "entries of the gateway's memory cache"),
	ONE_OF("LOG_FORMAT", "text", "text|json", "form of the services' log lines"),
	ONE_OF("LOG_LEVEL", "info", "debug|info|warn|error", "least level that is logged"),
	INT("MATRYOSHKA_DIM", "256", 1, MAX_WIDTH, "values in a vector; 64 to the model's width"),
	INT("MAX_BATCH_TOKENS", "512", 16, 1 << 20, "tokens of an inference batch"),
	INT("MAX_CONCEPTS", "100000", 1, 100000000, "entries of the cache shard"),
	INT("MAX_CONNECTIONS", "8192", 16, 65535,
	    "connections that storage has open; a new one ends the idlest"),
	INT("MAX_CONNECTIONS_PER_PEER", "0", 0, 65535,
	    "those of one address; 0: three quarters of MAX_CONNECTIONS"),
	INT("MAX_QUEUE", "4096", 1, 1 << 20, "texts waiting for inference at a replica"),
	INT("MAX_QUEUE_MS", "5000", 10, 3600000, "estimated wait for inference at a replica"),
	TEXT("ML_BASE_URL", "http://127.0.0.1:8887",
	     "where the gateway sends texts; the edition's balancer or replica"),
	ROW("ML_BASE_TIMEOUT_SECONDS", ALSO("ML_BASE_TIMEOUT"), SECONDS, "10", 1, 3600, NULL,
	    "longest wait of the gateway for an answer of ml-base"),
	TEXT("MODEL_PATH", NULL, "folder with config.json, model.safetensors, vocab.txt"),
	INT("REQUEST_TIMEOUT_SECONDS", "10", 1, 3600,
	    "time for 16 KiB of a request to storage, or of its answer"),
	FLAG("SUTRA_CACHE_ENABLED", "true", "deploy and use the cache shard"),
	TEXT("SUTRA_ALLOWED_HOSTS", NULL, "names under which browsers may reach the gateway"),
	TEXT("SUTRA_BIND", "127.0.0.1", "address the gateway's port is published on"),
	ONE_OF("SUTRA_EDITION", "community", "simple|community|enterprise", "which services run"),
	FLAG("SUTRA_INSECURE", "false",
	     "SUTRA_BIND publishes storage, replicas and statistics too"),
	TEXT("SUTRA_INPUT_TYPE", NULL, "prompt of the model before texts whose request names none"),
	TEXT("SUTRA_MODEL", "all-minilm-l6-v2", "a model that sutra model knows"),
	ONE_OF("SUTRA_MRL", "layer_norm", "layer_norm|plain", "how vectors are shortened"),
	INT("SUTRA_PORT_OFFSET", "0", 0, 65535 - LAST_PORT, "added to every published port"),
	FLAG("SUTRA_PIN", "false", "inference threads stay on cores of their own"),
	ONE_OF("SUTRA_PRECISION", "auto", "auto|fp32|bf16|int8",
	       "arithmetic of the encoder; auto: the fastest near fp32"),
	TEXT("SUTRA_PROMPT", NULL, "literal text before texts, in place of SUTRA_INPUT_TYPE"),
	INT("SUTRA_REPLICAS", "1", 1, 256,
	    "replicas that share a machine's cores; the edition's number"),
	ONE_OF("SUTRA_RUNTIME", "auto", "auto|docker|native", "what runs the services"),
	TEXT("SUTRA_STATE_DIR", NULL, "folder of records, logs and volumes"),
	TEXT("SUTRA_TENANTS_FILE", NULL, "must stay unset: tenants are not in this version"),
	INT("SUTRA_THREADS", NULL, 1, 256, "inference threads of a replica"),
	TEXT("SUTRA_USER", NULL, "user that runs the services natively, when root deploys"),
	TEXT("SUTRA_VERSION", "latest", "tag of the images that containers run"),
	ONE_OF("WAL_SYNC", "interval", "always|interval",
	       "when a write to the cache shard is acknowledged"),
	INT("WAL_SYNC_INTERVAL_MS", "1000", 1, 600000, "longest time until a write is on disk"),
	SECRET("HAPROXY_STATS_PASSWORD", "password of embedding-ha's statistics"),
	TEXT("HAPROXY_STATS_USER", NULL, "user of embedding-ha's statistics"),
#undef SCOPE
#define SCOPE SUTRA_OF_SERVICE
	FLAG("CACHE_MODE", "true", "accepted for older set-ups; the role decides"),
	TEXT_ALSO("CACHE_SHARD_HOST", ("SUTRA_CACHE_HOST"), NULL,
		  "host of the cache shard; unset: memory only"),
	INT_ALSO("CACHE_SHARD_PORT", ("SUTRA_CACHE_PORT"), "50052", 1, 65535,
		 "port of the cache shard"),
	INT_ALSO("EMBEDDING_PORT", ("PORT"), "8888", 1, 65535, "port that the gateway listens on"),
	TEXT("INSTANCE_ID", NULL, "name of this service in answers and logs"),
	INT_ALSO("ML_BASE_PORT", ("PORT"), "8887", 1, 65535, "port that ml-base listens on"),
	FLAG("MMAP_ENABLED", "true", "accepted for older set-ups; replay always maps"),
	TEXT("STORAGE_HOST", NULL, "address that storage listens on where SUTRA_LISTEN is unset"),
	INT_ALSO("STORAGE_PORT", ("PORT"), "50052", 1, 65535, "port that storage listens on"),
	TEXT("STORAGE_PATH", "./data", "folder of the log"),
	TEXT("SUTRA_LISTEN", "127.0.0.1", "address to listen on"),
	TEXT("SUTRA_LISTEN_#", NULL,
	     "addresses with ports to listen on in place of that port of SUTRA_LISTEN"),
	TEXT("SUTRA_REEXEC", NULL, "what runs after HUP; unset: the program itself"),
	ONE_OF("SUTRA_ROLE", "cache_shard", "cache_shard",
	       "what storage stores; main and events are not in this version"),
	INT("VECTOR_DIMENSION", NULL, 1, MAX_WIDTH,
	    "accepted for older set-ups; every vector brings its own"),
#undef SCOPE
#define SCOPE SUTRA_OF_COMMAND
	SECRET("HF_TOKEN", "token for the hub that models come from"),
	ONE_OF("SUTRA_COLOR", "auto", "auto|always|never", "colour; below --color, above NO_COLOR"),
	TEXT("SUTRA_DATA_DIR", NULL, "folder that holds compose/ and validate/"),
	TEXT("SUTRA_HUB_URL", "https://huggingface.co", "where models come from"),
	TEXT("SUTRA_MODEL_DIR", NULL, "folder of the models"),
#undef SCOPE
#define SCOPE SUTRA_OF_DEPLOY
	TEXT("SUTRA_BIND_INTERNAL", NULL, "address that all but the gateway is published on"),
	INT("SUTRA_PORT_#", NULL, 1, 65535, "published port, moved by SUTRA_PORT_OFFSET"),
#undef SCOPE
	{ 0 },
};

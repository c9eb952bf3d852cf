#include "report/page.h"

#include <string.h>

#include "base/clock.h"
#include "base/version.h"
#include "report/page_parts.h"

static const char style[] =
	":root{color-scheme:light dark;--bg:#fbfbfa;--card:#fff;--fg:#1c2024;--dim:#646b73;--line:#e3e5e8;"
	"--good:#1a7f4b;--bad:#c4362d;--warn:#9a6700;--s0:#2563c9;--s1:#c96a12;--s2:#c4362d;--s3:#1a8a5a;"
	"--s4:#7a4fc4;--s5:#8a929b}\n"
	"@media(prefers-color-scheme:dark){:root{--bg:#14171a;--card:#1c2024;--fg:#e6e8ea;--dim:#98a0a8;"
	"--line:#31373d;--good:#4cc38a;--bad:#ff7b72;--warn:#e3b341;--s0:#6ea8fe;--s1:#f0a35e;--s2:#ff7b72;"
	"--s3:#4cc38a;--s4:#b794f6;--s5:#98a0a8}}\n"
	"*{box-sizing:border-box}body{margin:0 auto;max-width:1000px;padding:28px 20px 40px;background:var(--bg);"
	"color:var(--fg);font:15px/1.5 system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif;"
	"font-variant-numeric:tabular-nums}\n"
	"h1{font-size:26px;margin:0 0 4px;display:flex;gap:12px;align-items:center;flex-wrap:wrap}"
	"h2{font-size:18px;margin:32px 0 10px}p{margin:2px 0}.dim{color:var(--dim)}\n"
	".pill{font-size:13px;font-weight:600;padding:2px 10px;border-radius:99px;border:1px solid currentColor}"
	".good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}.plain{color:var(--dim)}\n"
	".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(96px,1fr));gap:10px;margin:18px 0}"
	".card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 12px}"
	".card b{display:block;font-size:18px;font-weight:600;white-space:nowrap}.card span{font-size:13px;"
	"color:var(--dim)}\n"
	"figure{margin:0 0 14px;overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px;"
	"padding:12px 14px}figcaption{display:flex;gap:8px;flex-wrap:wrap;align-items:baseline;"
	"margin-bottom:6px}.keys{margin-left:auto;display:flex;flex-wrap:wrap;"
	"gap:2px 14px;font-size:13px}.key{white-space:nowrap}"
	".key i{display:inline-block;width:14px;height:4px;border-radius:2px;margin-right:6px;"
	"vertical-align:middle}svg{display:block;width:100%;height:auto}svg.bars{min-width:600px}\n"
	"text{font-size:12px;fill:var(--dim)}text.x{text-anchor:middle}text.y,text.name{text-anchor:end}"
	"text.name,text.value{fill:var(--fg)}path{fill:none;stroke-linejoin:round;stroke-linecap:round}"
	".grid{stroke:var(--line)}.axis{stroke:var(--dim)}rect.good{fill:var(--good)}rect.bad{fill:var(--bad)}\n"
	"table{border-collapse:collapse;width:100%;background:var(--card);font-size:14px}"
	".scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px;margin-bottom:14px}"
	"th,td{padding:6px 12px;text-align:right;border-bottom:1px solid var(--line);vertical-align:top}"
	"tr:last-child td{border-bottom:0}th{color:var(--dim);font-weight:500;font-size:13px}"
	"th:first-child,td:first-child,.l{text-align:left}td:not(.l){white-space:nowrap}\n"
	"details{margin-bottom:14px}summary{cursor:pointer;color:var(--dim);margin-bottom:8px}"
	"pre{overflow-x:auto;background:var(--bg);border:1px solid var(--line);border-radius:6px;padding:8px 10px;"
	"font-size:12.5px;margin:6px 0}footer{margin-top:36px;color:var(--dim);font-size:13px}\n"
	/* A telephone's width: all of a chart, its words drawn as much larger as it is smaller. */
	"@media(max-width:560px){svg.lines text{font-size:21px}text.x{transform:translateY(6px)}}\n"
	"@media print{body{max-width:none}figure,table{break-inside:avoid}}\n";

static void add_colors(struct sutra_buf *b)
{
	for (int i = 0; i < 6; i++)
		sutra_buf_addf(b, ".s%d{stroke:var(--s%d);stroke-width:1.8}.a%d{fill:var(--s%d)}"
				  ".k%d{background:var(--s%d)}", i, i, i, i, i, i);
}

int sutra_page_add(const json_t *doc, struct sutra_buf *b, struct sutra_err *err)
{
	static const struct {
		const char *schema, *title;
		void (*add)(const json_t *doc, struct sutra_buf *b);
	} pages[] = {
		{ "sutra.load/1", "Load", sutra_page_load },
		{ "sutra.validate/1", "Validation", sutra_page_validate },
		{ "sutra.cache-stats/1", "Cache", sutra_page_cache },
	};
	const char *schema = sutra_page_text(doc, "schema");
	char now[SUTRA_RFC3339_LEN];
	size_t i = 0;

	while (i < 3 && strcmp(pages[i].schema, schema) != 0)
		i++;
	if (i == 3)
		return sutra_fail(err, SUTRA_E_INVALID,
				  "its schema is \"%.40s\"; a document of sutra load, validate or cache-stats is wanted",
				  schema);
	sutra_clock_rfc3339(sutra_clock_wall_us(), now);
	sutra_buf_addf(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
			  "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
			  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src "
			  "'unsafe-inline'\">\n<title>Sutra: %s</title>\n<style>\n%s", pages[i].title, style);
	add_colors(b);
	sutra_buf_adds(b, "\n</style></head><body>\n");
	pages[i].add(doc, b);
	sutra_buf_addf(b, "<footer>sutra report " SUTRA_VERSION ", %.10s %.5s UTC</footer>\n</body></html>\n", now,
		       now + 11);
	return sutra_buf_error(b) ? sutra_fail(err, sutra_buf_error(b), "the page is too large") : 0;
}

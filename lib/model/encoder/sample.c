#include "model/encoder/sample.h"

static const char *const texts[SUTRA_SAMPLE_SHORT] = {
	"disk full",
	"yes",
	"How do I reset my password?",
	"What is the capital of Mongolia?",
	"The deployment failed because the health check of the second replica never answered.",
	"A cat slept on the warm bonnet of the parked car while rain fell on the other side of the road.",
	"invoice 2024-00817, due 31 March, EUR 1,249.50",
	"Order #88231: 3 x M6 bolt (zinc), 12 x washer, 1 x torque wrench 5-25 Nm",
	"SELECT name, count(*) FROM users WHERE created_at > '2021-05-01' GROUP BY name;",
	"int main(void) { printf(\"hello\\n\"); return 0; }",
	"error: connection refused (errno 111) while connecting to 10.0.3.17:5432",
	"WARN [worker-7] retrying request 5f3a-99b1 after 250 ms, attempt 3 of 5",
	"The mitochondrion converts nutrients into adenosine triphosphate by oxidative phosphorylation.",
	"Patients with atrial fibrillation should be assessed for stroke risk before anticoagulation begins.",
	"The court held that the clause was void, since neither party could have foreseen the embargo.",
	"Tenant shall give written notice no later than ninety (90) days before the end of the term.",
	"Preheat the oven to 200 degrees, whisk the eggs with the sugar, and fold in the sifted flour.",
	"Add two cloves of garlic, a pinch of saffron and a glass of dry white wine; simmer for ten minutes.",
	"She closed the book, listened to the clock for a while, and decided not to answer the letter after all.",
	"I can't believe they cancelled the show, it was by far the best thing on television this year!!!",
	"lol ok see u tmrw at 8",
	"best budget headphones noise cancelling 2023",
	"Our quarterly revenue rose by 7.4 percent, driven by subscriptions in Asia, while hardware declined.",
	"The central bank left its key rate unchanged and hinted that inflation may ease by the autumn.",
	"Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
	"Black holes evaporate slowly by emitting radiation whose temperature falls with their mass.",
	"The midfielder scored twice in the second half, but a late penalty cost the visitors the match.",
	"He bowled with great pace in the morning, and by lunch half of the side was out.",
	"The train from Lyon to Turin passes beneath the Alps in a tunnel that is more than a century old.",
	"Visitors to the old town should try the ferry: it is cheap, quick, and the view is splendid.",
	"def quicksort(a): return a if len(a) < 2 else quicksort([x for x in a[1:] if x < a[0]]) + [a[0]]",
	"kubectl get pods --namespace production --field-selector=status.phase!=Running -o wide",
	"Der Zug nach Hamburg hat heute leider vierzig Minuten Verspätung.",
	"La bibliothèque municipale ferme à dix-neuf heures en semaine.",
	"¿Dónde puedo cambiar dinero cerca de la estación?",
	"Il gatto dorme sul divano mentre fuori nevica.",
	"Сегодня в Москве ожидается сильный снег и ветер.",
	"今日の会議は午後三時に延期されました。",
	"这家餐馆的面条非常好吃，价格也不贵。",
	"مرحبا بكم في المكتبة الوطنية",
	"E = mc^2, and the integral of 1/x from 1 to e is exactly 1.",
	"https://example.com/docs/v2/install?lang=en#requirements",
	"Not all who wander are lost; some, to be fair, are very lost indeed.",
	"The product was not bad, but I would not buy it again.",
	"To whom it may concern: I am writing to recommend a colleague of many years, whose patience with "
	"difficult customers, care with figures and good humour under pressure have been of the greatest "
	"value to all of us in the department.",
	"A vector index keeps, for every item, links to a few of its neighbours on several levels; a search "
	"begins at the top, walks greedily towards the query, and goes down one level whenever no neighbour "
	"is nearer, until the lowest level gives the candidates that are then ranked by their true distance.",
	"The storm reached the coast shortly before midnight. By morning the harbour wall had given way in two "
	"places, the lower streets stood under a metre of water, and the fire brigade was moving people from "
	"the old hospital by boat. No one was hurt, the mayor said, but it would take weeks before the market "
	"could open again.",
	"Step 1: back up the database. Step 2: stop the writer, wait until the queue is empty, and check that "
	"the replica has caught up. Step 3: run the migration in one transaction. Step 4: start the new "
	"version on one node, compare its answers with those of the old one for at least ten minutes, and "
	"only then roll it out to the rest. If anything looks wrong, go back to the copy made in step 1.",
};

/* A long text is twelve of the short ones; the last long text is all of them. */
void sutra_sample_add(struct sutra_buf *b, size_t i)
{
	size_t from = i, to = i + 1;

	if (i >= SUTRA_SAMPLE_SHORT) {
		from = (i - SUTRA_SAMPLE_SHORT) * 12 % SUTRA_SAMPLE_SHORT;
		to = i < SUTRA_SAMPLE_TEXTS - 1 ? from + 12 : SUTRA_SAMPLE_SHORT;
	}
	for (size_t k = from; k < to; k++)
		sutra_buf_addf(b, "%s%s", k > from ? " " : "", texts[k]);
}

import { expect, it } from "vitest";
import { brief } from "#src/machine/recovery/brief/brief.ts";
import { toPredecessor } from "#src/machine/sessions/checkpoints/capture.ts";
import { aRestoration, aState, prompts } from "#harness/machine/temp-runtime.ts";
import { T0 } from "#harness/store/store-test.ts";

it("the plan, the answers and the prompts of a first session stand in the brief of a third one, with where they came from", () => {
  const first = aState({
    prompts: prompts("Never paint the rudder."),
    plan: { text: "1. Sand the hull\n2. Paint it red", at: T0 },
    answers: [{ question: "Which red?", answer: "The dark one", at: T0 }],
  });
  const second = aState({
    prompts: prompts("go on"),
    continues: toPredecessor({ session: "first-session", state: first }),
  });
  const third = aRestoration({ continues: toPredecessor({ session: "second-session", state: second }) });
  const text = brief(third, T0 + 3_600_000, "ask");
  expect(text).toContain("(to session first-se, which it continues) Never paint the rudder.");
  expect(text).toContain("(to session second-s, which it continues) go on");
  expect(text).toMatch(/plan \(approved [^)]*, in a session that it continues; 2 lines\):\n {2}1\. Sand the hull/);
  expect(text).toContain("- Which red? -> The dark one");
});

import { expect, it } from "vitest";
import { codexLimit } from "#harness/claude/usage-limits.ts";
import type { Step } from "#harness/claude/scripted-model.ts";
import { ClientRig } from "#harness/clients/client-rig.ts";
import { CodexRig } from "#harness/clients/codex-rig.ts";
import { copilot, gemini, opencode, qwen, type RealClient } from "#harness/clients/real-clients.ts";

const recorded = "The client reported that a usage limit was reached.";

/** An account without credit. */
const spent: Step = { error: { status: 402, type: "billing", message: "Insufficient credits" }, times: 20 };

/** OpenCode's own plan, for whose end it waits. */
const openCodePlan: Step = {
  error: { status: 429, type: "GoUsageLimitError", message: "no", headers: { "retry-after": "7200" } },
  times: 20,
};

it("the real Codex records the limit of a plan, and no limit of a throttling @night", async () => {
  const rig = new CodexRig();
  const throttled: Step = { error: { status: 429, type: "requests", message: "no" }, times: 20 };
  const shown = await Promise.all(
    [codexLimit, throttled].map(async (step) => {
      const { codex } = await rig.exec("fix it", { steps: [step] });
      expect((await codex.waitForExit()).code).toBe(1);
    }),
  );
  expect(shown).toHaveLength(2);
  const texts = rig.sessions().map(({ id }) => rig.shim("sessions", "show", id));
  expect([texts.length, texts.filter((text) => text.includes(recorded)).length]).toEqual([2, 1]);
});

it.each<[string, RealClient, Step]>([
  ["copilot", copilot, spent],
  ["opencode, which fails", opencode, spent],
  ["opencode, which waits", opencode, openCodePlan],
  ["qwen", qwen, spent],
])("the real %s records a limit @night", async (_how, client, step) => {
  const rig = new ClientRig(client);
  const run = await rig.start("fix it", [step]);
  const { id } = await rig.begun();
  await rig
    .until(id, (_session, { journal }) => isLimit(journal.at(-1)?.entry), "the limit")
    .catch((error: unknown) => {
      throw new Error(`${String(error)} ${JSON.stringify(run.process.output)}`);
    });
  await rig.kill(run);
});

function isLimit(entry: { readonly kind: string } | undefined): boolean {
  return entry?.kind === "failure" && "limit" in entry;
}

it("words of the real Gemini CLI alone are no limit @night", async () => {
  const rig = new ClientRig(gemini);
  const error = { status: 429, type: "RESOURCE_EXHAUSTED", message: "You exceeded your current quota" };
  const run = await rig.start("fix it", [{ error, times: 20 }]);
  const { id } = await rig.begun();
  await rig.last(id, "prompt");
  await rig.kill(run);
  expect(rig.shim("sessions", "show", id)).not.toContain(recorded);
});

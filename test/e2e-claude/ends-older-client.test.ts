import { expect, it } from "vitest";
import { OLDER_CLAUDE_VERSION, otherClaudeBinary } from "../../scripts/install-claude.ts";
import { hasDied } from "#src/machine/sessions/closed-sessions.ts";
import { untilFound } from "#harness/claude/claude-code.ts";
import { bash, briefs, ClaudeRig, endless, endlessTool, hello } from "#harness/claude/claude-rig.ts";

/** What npm installs on Node 20. Its hangup in the middle of a tool comes with a failed tool, an answer and a Stop. */
const binary = otherClaudeBinary(OLDER_CLAUDE_VERSION) ?? "not installed: node scripts/install-claude.ts";

it("an older client: a finished run is finished, one that was asked to stop in its turn is not @night", async () => {
  const rig = new ClaudeRig();
  await rig.printed("fix the parser", { steps: [bash("echo fixed"), { text: "Fixed." }], binary });
  expect(rig.sessions()).toMatchObject([{ endReason: "other" }]);
  const cut = await rig.print("fix the lexer", { steps: [bash("echo begun"), endless], binary });
  await endlessTool(cut.claude);
  cut.claude.kill("SIGTERM");
  await cut.claude.waitForExit();
  const next = await rig.printed("hello", { ...hello, binary });
  expect(briefs(next.model)[0]).toContain("fix the lexer");
});

it.each([
  ["between two turns", [{ text: "Fixed." }], "turn_end", false],
  ["in the middle of a tool", [endless, { text: "The build was stopped." }], "tool_start", true],
] as const)(
  "an older client whose terminal is closed %s has not finished @night",
  async (_when, steps, kind, isDeath) => {
    const rig = new ClaudeRig();
    const { claude, id } = await rig.typed("good morning", { steps: [{ text: "Hello." }, ...steps], binary });
    // This version sends no event of a turn that began before its MCP process was connected.
    await untilFound(() => rig.isInTeam(id), "the chat in its team");
    await claude.shows("Hello.");
    await claude.send("fix the parser");
    const turns = (): string[] => rig.kinds(id).join().split("prompt");
    await rig.until(id, () => turns().length === 3 && turns().at(-1)?.endsWith(kind) === true, kind);
    claude.kill("SIGKILL");
    await rig.last(id, "detached");
    const session = rig.session(id);
    // The client may end before or after it has let the model answer.
    expect([session.endedAt, hasDied(session)]).toEqual([null, isDeath]);
  },
);

it("an older client: the user's own exit finishes the chat, SIGTERM in an idle terminal does not @night", async () => {
  for (const keys of ["/exit", "\u0004", null]) {
    const rig = new ClaudeRig();
    const { claude, id } = await rig.typed("fix the parser", { steps: [{ text: "Fixed." }], binary });
    // This version sends no event before its MCP process is connected.
    await claude.shows("Fixed.");
    await rig.written("Fixed.");
    if (keys === null) process.kill(await claude.claudePid(), "SIGTERM");
    else if (keys.startsWith("/")) await claude.send(keys);
    else {
      claude.type(keys);
      await claude.shows("againtoexit");
      claude.type(keys);
    }
    await claude.waitForExit();
    const reason = keys === null ? null : "prompt_input_exit";
    expect([keys, rig.session(id).endReason]).toEqual([keys, reason]);
  }
});

import { expect, it } from "vitest";
import { LoneChat } from "../../../demo/story/team-chat.ts";
import { start, type StartSystem } from "../../../demo/start.ts";
import { edits } from "../../../demo/story/project.ts";
import type { ModelRequest, Step } from "#harness/claude/scripted-model.ts";

const waits = { seed: 1, scale: 1 };

/** The client's next request, in which all calls of the last answer have succeeded. */
function requestAfter(step: Step | null): ModelRequest {
  const uses = (step?.tools ?? []).map(({ name, input }, n) => ({ type: "tool_use", id: `t${n}`, name, input }));
  const results = uses.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "0".repeat(40) }));
  const messages = step
    ? [
        { role: "assistant", content: uses },
        { role: "user", content: results },
      ]
    : [{ role: "user", content: "Do the six tasks." }];
  return { kind: "loop", path: "/v1/messages", body: { messages }, messages: [] };
}

it("the chat that works alone makes each edit once, in order, waits before each answer, and makes no call for a team", () => {
  const chat = new LoneChat({ folder: "/shop", waits, onEvent: () => undefined });
  const answers: Step[] = [];
  do answers.push(chat.answer(requestAfter(answers.at(-1) ?? null)));
  while (answers.at(-1)?.tools);
  const calls = answers.flatMap(({ tools }) => tools ?? []);
  const changed = calls
    .filter(({ name }) => name === "Edit" || name === "Write")
    .map(({ input }) => input?.["file_path"]);
  expect(changed).toEqual(Object.values(edits).flatMap((list) => list.map(({ file }) => `/shop/${file}`)));
  expect(new Set(calls.map(({ name }) => name))).toEqual(new Set(["Bash", "Edit", "Read", "Write"]));
  expect(answers.filter(({ tools, waitMs = 0 }) => tools && waitMs < 2_000)).toEqual([]);
});

const claude = { label: "Claude Code", isInstalled: false };

async function started(system: Partial<StartSystem>): Promise<{ code: number; ran: string[]; printed: string }> {
  const ran: string[] = [];
  const lines: string[] = [];
  const code = await start({
    shim: (...words) => Promise.resolve(ran.push(words.join(" "))).then(() => 0),
    clients: () => Promise.resolve([claude]),
    isTerminal: false,
    print: (line) => lines.push(line),
    ...system,
  });
  return { code, ran, printed: lines.join("\n") };
}

it("`npm start` shows a chat that is killed and comes back, and names the command that connects what it found", async () => {
  const piped = await started({});
  expect([piped.code, piped.ran]).toEqual([0, ["demo"]]);
  expect(piped.printed).toContain("Found here: Claude Code. `npm run init` connects");
  expect((await started({ isTerminal: true })).ran).toEqual(["demo", "init"]);
  expect((await started({ clients: () => Promise.resolve([]) })).printed).toContain("No client was found here.");
});

it("with a connected client `npm start` is `shim up`, and a failure of the demo is its own", async () => {
  const connected = await started({ clients: () => Promise.resolve([claude, { ...claude, isInstalled: true }]) });
  expect([connected.ran, connected.printed]).toEqual([["up"], ""]);
  expect(await started({ isTerminal: true, shim: () => Promise.resolve(3) })).toMatchObject({ code: 3 });
});

import { expect, it } from "vitest";
import { untilFound, type Terminal } from "../support/claude-code.ts";
import { bash, briefs, Desk, endless, endlessTool, told, type Chat } from "../support/shim-desk.ts";

const answer = { steps: [{ text: "Hello." }] };

it("[RE4] takes the end of a finished run for what it is: the next chat gets no brief", async () => {
  const desk = new Desk();
  await desk.printed("fix the parser", { steps: [bash("echo fixed"), { text: "Fixed." }] });
  const [first] = desk.sessions();
  expect(first).toMatchObject({
    client: "claude-code",
    endReason: "other",
    recovery: null,
    toolCalls: 1,
    owner: { pid: expect.any(Number) },
  });
  expect(desk.kinds(first!.id)).toEqual(["start", "prompt", "tool_start", "tool_end", "assistant", "turn_end", "end"]);
  expect(desk.stored(first!.id).checkpoints.at(-1)?.summary).toContain("fix the parser");
  const next = await desk.printed("hello", answer);
  expect(told(next.model)).not.toContain("recovered data");
  expect(desk.sessions().map(({ endReason }) => endReason)).toEqual(["other", "other"]);
});

it("[RE2] takes a run that was asked to stop in the middle of its turn for unfinished", async () => {
  const desk = new Desk();
  const first = await desk.print("fix the parser", { steps: [bash("echo begun"), endless] });
  await endlessTool(first.claude);
  first.claude.kill("SIGTERM");
  expect(await first.claude.waitForExit()).toEqual({ code: 143, signal: null });
  const [stopped] = desk.sessions();
  expect(stopped).toMatchObject({ endedAt: null, recovery: null });
  expect(desk.kinds(stopped!.id).at(-1)).toBe("detached");
  const next = await desk.printed("hello", answer);
  const [brief] = briefs(told(next.model));
  expect(brief).toContain("why it died: closed (");
  expect(brief).toContain("was running when it died: Bash exec sleep 600");
});

it("[RE2] takes a run that the model's service refused for unfinished", async () => {
  const desk = new Desk();
  const error = { status: 400, type: "invalid_request_error", message: "Your credit balance is too low." };
  const first = await desk.print("fix the parser", { steps: [bash("echo begun"), { error, times: 5 }] });
  expect(await first.claude.waitForExit()).toEqual({ code: 1, signal: null });
  const next = await desk.printed("hello", answer);
  expect(briefs(told(next.model))[0]).toContain("why it died: usage_limit (");
});

it("[RE2] takes a run whose prompt became too long for unfinished", async () => {
  const desk = new Desk();
  const error = {
    status: 400,
    type: "invalid_request_error",
    message: "prompt is too long: 1200000 tokens > 1000000 maximum",
  };
  const first = await desk.print("fix the parser", { steps: [bash("echo begun"), { error, times: 50 }] });
  expect(await first.claude.waitForExit()).toEqual({ code: 1, signal: null });
  const next = await desk.printed("hello", answer);
  expect(briefs(told(next.model))[0]).toContain(
    "why it died: context_full (The client said that the context is full.)",
  );
});

async function inTerminal(
  desk: Desk,
  steps: Parameters<Desk["terminal"]>[0]["steps"],
): Promise<Chat<Terminal> & { id: string }> {
  const chat = await desk.terminal({ steps });
  await chat.claude.send("fix the parser");
  const { id } = await untilFound(() => desk.sessions()[0], "a session");
  return { ...chat, id };
}

it("[RE2] tells a terminal closed after the answer from one closed in the middle of work", async () => {
  const desk = new Desk();
  const idle = await inTerminal(desk, [{ text: "Fixed." }]);
  await desk.until(idle.id, (_, { journal }) => journal.at(-1)?.entry.kind === "turn_end", "the end of the turn");
  idle.claude.kill("SIGKILL");
  await desk.until(idle.id, ({ endedAt }) => endedAt !== null, "the end of the session");

  const other = new Desk();
  const busy = await inTerminal(other, [endless]);
  await other.until(busy.id, (_, { journal }) => journal.at(-1)?.entry.kind === "tool_start", "the tool");
  busy.claude.kill("SIGKILL");
  await other.until(busy.id, (_, { journal }) => journal.at(-1)?.entry.kind === "detached", "the cut");
  expect(other.session(busy.id)).toMatchObject({ endedAt: null });
  const next = await other.printed("hello", answer);
  expect(briefs(told(next.model))[0]).toContain("why it died: closed (");
});

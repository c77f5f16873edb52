import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { expect, it, onTestFinished } from "vitest";
import { codexClient, programOf } from "../../scripts/install-clients.ts";
import { parseObject, type JsonObject } from "#src/shared/json-fields.ts";
import { untilFound, watch, type Claude } from "#harness/claude/claude-code.ts";
import { briefs } from "#harness/claude/claude-rig.ts";
import { startScriptedModel, type ScriptedModel } from "#harness/claude/scripted-model.ts";
import { codexEnv, codexFlags, CodexRig, shell, shimTool } from "#harness/clients/codex-rig.ts";

/** `codex app-server`, as an editor runs it: one process for all of its chats. */
class AppServer {
  readonly codex: Claude;
  readonly #send: (message: object) => void;
  readonly #received: JsonObject[] = [];
  #last = 0;

  constructor(rig: CodexRig, model: ScriptedModel) {
    const args = ["app-server", ...codexFlags(model.url, {})];
    const child = spawn(programOf(codexClient), args, { cwd: rig.project, env: codexEnv(rig.home) });
    createInterface({ input: child.stdout }).on("line", (line) => this.#received.push(parseObject(line) ?? {}));
    this.#send = (message) => void child.stdin.write(`${JSON.stringify(message)}\n`);
    this.codex = watch(child);
    onTestFinished(async () => {
      child.kill("SIGKILL");
      await this.codex.waitForExit();
    });
  }

  async begin(): Promise<void> {
    const clientInfo = { name: "editor", title: "Editor", version: "1" };
    await this.#call("initialize", { clientInfo, capabilities: { experimentalApi: true } });
    this.#send({ method: "initialized" });
  }

  /** @returns the id of a new thread */
  async thread(cwd: string): Promise<string> {
    const { thread } = (await this.#call("thread/start", { cwd })) as { thread: { id: string } };
    return thread.id;
  }

  async prompt(threadId: string, text: string): Promise<void> {
    await this.#call("turn/start", { threadId, input: [{ type: "text", text }] });
  }

  /** Resolves at the end of the thread's turn. */
  async turn(threadId: string): Promise<void> {
    const isEnd = ({ method, params }: JsonObject): boolean =>
      method === "turn/completed" && (params as { threadId: string }).threadId === threadId;
    await untilFound(() => this.#received.find(isEnd), "the end of a turn");
  }

  async #call(method: string, params: object): Promise<unknown> {
    const id = ++this.#last;
    this.#send({ id, method, params });
    const answer = await untilFound(() => this.#received.find((one) => one["id"] === id), `the answer to ${method}`);
    return answer["result"];
  }
}

it("threads of one Codex process that take turns are a session each, with its own server, end and brief @night", async () => {
  const rig = new CodexRig();
  const status = shimTool("shim_session_status");
  const model = await startScriptedModel({
    threads: [
      { match: "the parser", steps: [shell("echo one"), { ...status, hold: "one" }, { text: "Parsed." }] },
      {
        match: "the lexer",
        steps: [shell("echo two"), { ...status, hold: "two" }, { ...shell("sleep 600"), hold: "end" }],
      },
      { match: "go on", steps: [{ text: "I go on." }] },
    ],
  });
  onTestFinished(() => model.close());
  const server = new AppServer(rig, model);
  await server.begin();
  const [one, two] = [await server.thread(rig.project), await server.thread(rig.project)];
  await server.prompt(one, "fix the parser");
  // Its hook has run by then: the newest prompt decides which thread the user is in.
  await model.held("one");
  await server.prompt(two, "fix the lexer");
  await model.held("two");
  model.release("two");
  await model.held("end");
  model.release("one");
  await server.turn(one);

  const answered = (text: string): string => {
    const requests = model.requests.filter(({ messages }) => messages.some((message) => message.text.includes(text)));
    const said =
      requests
        .at(-1)
        ?.messages.map((message) => message.text)
        .join("\n") ?? "";
    return /"session":"([\w-]+)"/.exec(said)?.[1] ?? "none";
  };
  expect([answered("fix the parser"), answered("fix the lexer")]).toEqual([one, two]);
  expect(rig.sessions().map(({ id, endedAt }) => [id, endedAt])).toEqual(
    expect.arrayContaining([
      [one, null],
      [two, null],
    ]),
  );
  expect(rig.kinds(one)).toEqual([
    "start",
    "prompt",
    "tool_start",
    "tool_end",
    "tool_start",
    "tool_end",
    "assistant",
    "turn_end",
  ]);
  expect(rig.kinds(two)).toEqual(["start", "prompt", "tool_start", "tool_end", "tool_start", "tool_end"]);
  server.codex.kill("SIGKILL");
  await server.codex.waitForExit();
  const next = await rig.executed("go on", { steps: [{ text: "I go on." }] });
  const [brief] = briefs(next.model);
  expect(brief).toContain(`<shim-recovered-session-${two.slice(0, 8)}>`);
  expect(rig.session(one)).toMatchObject({ detachReason: "closed" });
});

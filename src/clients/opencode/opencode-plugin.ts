/**
 * SHIM's plugin for OpenCode, which has no hook commands: it sends each event to the host
 * and gives the answers to the model. Bundled as one file without dependencies.
 */
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { ranText } from "../adapter/harness-text.ts";
import { setIdleTimer } from "../../platform/timers.ts";
import { HookProgram, type ActDone, type NextAct, type SendEvent } from "../adapter/hook-program.ts";
import { subagentResult } from "./subagent-result.ts";

/** OpenCode's input of a plugin, as far as it is used. */
interface PluginInput {
  readonly directory: string;
  readonly client: {
    readonly session: {
      get(options: { path: { id: string } }): Promise<{ data?: unknown }>;
      promptAsync(options: { path: { id: string }; body: JsonObject }): Promise<unknown>;
      abort(options: { path: { id: string } }): Promise<unknown>;
    };
    /** The library behind it names no call for a question. */
    readonly _client: {
      post(options: {
        url: string;
        path: { requestID: string };
        body: JsonObject;
        headers: JsonObject;
      }): Promise<unknown>;
    };
    readonly app: { log(options: { body: JsonObject }): Promise<unknown> };
    readonly tui: { showToast(options: { body: JsonObject }): Promise<unknown> };
  };
}

interface MessageOutput {
  readonly message: JsonObject;
  /** OpenCode keeps what is added here. */
  readonly parts: unknown[];
}

interface ToolOutput {
  output?: unknown;
  readonly metadata?: unknown;
}

export interface OpenCodeHooks {
  event(given: { readonly event: JsonObject }): Promise<void>;
  "chat.message"(input: JsonObject, output: MessageOutput): Promise<void>;
  "tool.execute.before"(input: JsonObject, output: { readonly args: unknown }): Promise<void>;
  "tool.execute.after"(input: JsonObject, output: ToolOutput): Promise<void>;
  "experimental.session.compacting"(input: JsonObject): Promise<void>;
}

/** @param hook the program with its arguments */
export function openCodePlugin(hook: readonly string[]): (input: PluginInput) => Promise<OpenCodeHooks> {
  // OpenCode calls the plugin for each of its projects.
  const program = new HookProgram(hook, "opencode");
  return (input) =>
    Promise.resolve(
      openCodeHooks(
        input,
        (event, payload, gone) => program.send(event, payload, (message) => reportOnce(input, message), gone),
        program.nextAct,
        // The plugin of a window is in a process of its own, without the window's arguments.
        process.argv.includes("run"),
      ),
    );
}

/** Words of `opencode run`, which quotes an argument with blanks, and puts its input behind it. */
function unquoted(text: string): string {
  return text.replace(/^"((?:\\"|[^"])*)"(?=\n|$)/, (_all, words: string) => words.replaceAll('\\"', '"')).trimEnd();
}

/** Long enough to read a command. */
const toastMs = 15_000;

/** Between two tries to reach a host. */
const retryMs = 5_000;

/** Chat or subagent. */
interface Session {
  readonly parent: string | null;
  readonly version: string | null;
  /** By this process; a session of an earlier one is resumed. */
  readonly isNew: boolean;
  isStarted: boolean;
  /** Answer of the model that no event has carried yet. */
  text: string | null;
  /** Command that the user runs; empty: it comes next; null: none runs. */
  ran: string | null;
  /** Ids of messages that the user took back, since the last prompt. */
  takenBack: string[];
  /** Agent and model of the last prompt: another would follow other rules. */
  choice: JsonObject;
}

/** In the user's name, before the call of a command that the user runs. */
const ranMessage = "The following tool was executed by the user";

/** @param isRun the process is `opencode run` */
export function openCodeHooks(
  input: PluginInput,
  sendEvent: SendEvent,
  nextAct: NextAct,
  isRun = false,
): OpenCodeHooks {
  const chats = new OpenCodeChats(input, sendEvent, nextAct, isRun);
  return {
    event: ({ event }) => chats.event(event),
    "chat.message": (given, output) => chats.prompt(textAt(given, "sessionID"), output),
    "tool.execute.before": (given, { args }) => chats.toolStart(textAt(given, "sessionID"), given, args),
    "tool.execute.after": (given, output) => chats.toolEnd(textAt(given, "sessionID"), given, output),
    "experimental.session.compacting": (given) => chats.compacting(textAt(given, "sessionID")),
  };
}

type EventReader = (id: string, properties: JsonObject) => Promise<unknown>;

/** The sessions of one process of OpenCode. */
class OpenCodeChats {
  readonly #client: PluginInput["client"];
  readonly #folder: string;
  readonly #sendEvent: SendEvent;
  readonly #nextAct: NextAct;
  readonly #isRun: boolean;
  readonly #sessions = new Map<string, Session>();
  #queue: Promise<unknown> = Promise.resolve();
  /** Dialogs for permissions that are shown, by their ids. */
  readonly #dialogs = new Map<string, AbortController>();
  readonly #readers: ReadonlyMap<string, EventReader> = new Map<string, EventReader>([
    ["session.created", (id, properties) => this.#created(id, objectAt(properties, "info"))],
    ["message.part.updated", (id, properties) => this.#part(id, objectAt(properties, "part"))],
    ["session.idle", (id) => this.#idle(id)],
    ["session.error", (id, properties) => this.#error(id, objectAt(properties, "error"))],
    ["session.status", (id, properties) => this.#status(id, objectAt(properties, "status"))],
    ["session.compacted", (id) => this.#compacted(id)],
    // After an undo, with the next prompt.
    ["message.removed", async (id, { messageID }) => (await this.#find(id)).takenBack.push(String(messageID))],
    ["permission.asked", (id, properties) => this.#asked(id, properties)],
    ["question.asked", (id, properties) => this.#asked(id, properties)],
    ["permission.replied", (_id, properties) => this.#replied(properties)],
    ["question.replied", (_id, properties) => this.#replied(properties)],
    ["question.rejected", (_id, properties) => this.#replied(properties)],
  ]);

  constructor({ client, directory }: PluginInput, sendEvent: SendEvent, nextAct: NextAct, isRun: boolean) {
    this.#client = client;
    this.#folder = directory;
    this.#sendEvent = sendEvent;
    this.#nextAct = nextAct;
    this.#isRun = isRun;
  }

  async event(event: JsonObject): Promise<void> {
    const properties = objectAt(event, "properties");
    const id = textAt(properties, "sessionID") ?? textAt(objectAt(properties, "part"), "sessionID");
    if (properties !== null && id !== null) await this.#readers.get(textAt(event, "type") ?? "")?.(id, properties);
  }

  async prompt(id: string | null, { message, parts }: MessageOutput): Promise<void> {
    const session = id === null ? null : await this.#find(id);
    if (id === null || session?.parent !== null) return;
    const texts = parts.map(asObject).filter((part) => part?.["type"] === "text" && part["synthetic"] !== true);
    const { agent, model: chosen, variant } = message;
    session.choice = { agent, model: chosen, variant };
    const model = textAt(asObject(chosen), "modelID") ?? undefined;
    const given = texts.map((part) => textAt(part, "text") ?? "").join("\n");
    const prompt = this.#isRun && !session.isStarted ? unquoted(given) : given;
    const answers = [
      await this.#start(id, session, model),
      await this.#send("UserPromptSubmit", id, {
        prompt,
        prompt_id: message["id"],
        taken_back: session.takenBack.splice(0),
        model,
      }),
    ];
    const [first] = texts;
    if (!first) return;
    for (const [at, text] of answers.flatMap((answer) => contextOf(answer) ?? []).entries())
      parts.push({ ...first, id: `${String(first["id"])}shim${at}`, text, synthetic: true });
  }

  async #start(id: string, session: Session, model: string | undefined): Promise<JsonObject> {
    if (session.isStarted) return {};
    session.isStarted = true;
    this.#follow(id, session);
    return this.#send("SessionStart", id, { source: session.isNew ? "startup" : "resume", model });
  }

  /** Does what the user asks for from elsewhere, as long as the process lives. */
  #follow(id: string, session: Session): void {
    const follow = async (done?: ActDone): Promise<void> => {
      const given = await this.#nextAct(id, done);
      const act = objectAt(given, "act");
      const next = act && { number: given?.["number"], isTaken: await this.#act(id, session, act) };
      setIdleTimer(() => void follow(next ?? undefined), given === null ? retryMs : 0);
    };
    void follow();
  }

  /** OpenCode's library returns errors. @returns whether the act was taken */
  async #act(id: string, { choice }: Session, act: JsonObject): Promise<boolean> {
    const { session: calls } = this.#client;
    const text = textAt(act, "prompt");
    const body = { ...choice, parts: [{ type: "text", text }] };
    const answer = text === null ? calls.abort({ path: { id } }) : calls.promptAsync({ path: { id }, body });
    return answer.then(
      (given) => asObject(given)?.["error"] === undefined,
      () => false,
    );
  }

  async toolStart(id: string | null, call: JsonObject, args: unknown): Promise<void> {
    if (id === null) return;
    const session = await this.#find(id);
    const words = session.parent === null ? takeText(session) : {};
    const answer = await this.#send("PreToolUse", id, { ...callOf(call), tool_input: args, ...words });
    const decision = objectAt(answer, "hookSpecificOutput");
    // OpenCode's way to refuse a call: the model reads the message.
    if (decision?.["permissionDecision"] === "deny")
      throw new Error(textAt(decision, "permissionDecisionReason") ?? "SHIM refuses this call.");
  }

  async toolEnd(id: string | null, call: JsonObject, output: ToolOutput): Promise<void> {
    if (id === null) return;
    const metadata = asObject(output.metadata);
    const exit = numberAt(metadata, "exit") ?? 0;
    const answer = await this.#send(exit === 0 ? "PostToolUse" : "PostToolUseFailure", id, {
      ...callOf(call),
      tool_input: call["args"],
      ...(metadata?.["exists"] === false ? { tool_response: { type: "create" } } : {}),
      ...(call["tool"] === "task" ? { tool_response: subagentResult(output.output, metadata) } : {}),
      ...(call["tool"] === "question" ? { tool_response: answersIn(asObject(call["args"]), metadata) } : {}),
      ...(exit === 0 ? {} : { error: `Exit code ${exit}\n${String(output.output)}` }),
    });
    const context = contextOf(answer);
    if (context !== null && typeof output.output === "string") output.output += `\n\n${context}`;
  }

  async compacting(id: string | null): Promise<void> {
    if (id !== null) await this.#send("PreCompact", id, { trigger: "auto" });
  }

  /** The summary is an answer of the model. */
  async #compacted(id: string): Promise<void> {
    const { last_assistant_message: summary } = takeText(await this.#find(id));
    await this.#send("PostCompact", id, { compact_summary: summary });
  }

  #created(id: string, info: JsonObject | null): Promise<unknown> {
    this.#sessions.set(id, toSession(info, true));
    return Promise.resolve();
  }

  async #part(id: string, part: JsonObject | null): Promise<void> {
    // Only the model's parts have times, and what the client says after a compaction.
    const isWhole = objectAt(part, "time")?.["end"] !== undefined && part?.["synthetic"] !== true;
    if (part?.["type"] === "text" && isWhole) (await this.#find(id)).text = textAt(part, "text");
    if (part?.["synthetic"] === true && part["text"] === ranMessage) (await this.#find(id)).ran = "";
    if (part?.["type"] === "tool") await this.#tool(id, part, objectAt(part, "state"));
  }

  async #tool(id: string, part: JsonObject, state: JsonObject | null): Promise<void> {
    const session = await this.#find(id);
    if (session.ran === null) return this.#toolFailed(id, part, state);
    session.ran = textAt(objectAt(state, "input"), "command") ?? session.ran;
  }

  /** OpenCode ends no call that fails with a hook. */
  async #toolFailed(id: string, part: JsonObject, state: JsonObject | null): Promise<void> {
    if (state?.["status"] !== "error") return;
    await this.#send("PostToolUseFailure", id, {
      tool_name: part["tool"],
      tool_use_id: part["callID"],
      tool_input: state["input"],
      error: textAt(state, "error") ?? "failed",
    });
  }

  async #idle(id: string): Promise<void> {
    const session = await this.#find(id);
    const { ran } = session;
    session.ran = null;
    const words = ran ? { prompt: ranText(ran) } : takeText(session);
    if (session.parent === null) await this.#send("Stop", id, words);
  }

  async #error(id: string, error: JsonObject | null): Promise<void> {
    if (error?.["name"] === "MessageAbortedError" || (await this.#find(id)).parent !== null) return;
    const text = textAt(objectAt(error, "data"), "message") ?? textAt(error, "name") ?? "unknown error";
    await this.#send("StopFailure", id, { error: text, data: { statusCode: objectAt(error, "data")?.["statusCode"] } });
  }

  /** At a usage limit OpenCode waits, and reports no error. */
  async #status(id: string, status: JsonObject | null): Promise<void> {
    const action = objectAt(status, "action");
    if (action === null || (await this.#find(id)).parent !== null) return;
    await this.#send("StopFailure", id, { error: textAt(status, "message"), action, next: status?.["next"] });
  }

  /** OpenCode shows its dialog beside the event, which may be held: no other event waits for it. */
  #asked(id: string, properties: JsonObject): Promise<void> {
    const dialog = textAt(properties, "id") ?? "";
    const gone = new AbortController();
    this.#dialogs.set(dialog, gone);
    const answered = this.#queue.then(() => this.#decide(id, dialog, properties, gone.signal));
    void answered.catch(() => undefined).finally(() => this.#dialogs.delete(dialog));
    return Promise.resolve();
  }

  async #decide(id: string, dialog: string, properties: JsonObject, gone: AbortSignal): Promise<void> {
    const isQuestion = Array.isArray(properties["questions"]);
    const call = isQuestion ? { tool_name: "question", tool_input: properties } : permissionOf(properties);
    const answer = await this.#give("PermissionRequest", id, call, gone);
    const decision = objectAt(objectAt(answer, "hookSpecificOutput"), "decision");
    if (decision === null || gone.aborted) return;
    const { url, body } = isQuestion ? replyTo(decision) : permissionReply(decision);
    const headers = { "Content-Type": "application/json" };
    await this.#client._client.post({ url, path: { requestID: dialog }, body, headers });
  }

  #replied(properties: JsonObject): Promise<void> {
    this.#dialogs.get(textAt(properties, "requestID") ?? "")?.abort();
    return Promise.resolve();
  }

  async #find(id: string): Promise<Session> {
    const known = this.#sessions.get(id);
    if (known) return known;
    const found = await this.#client.session.get({ path: { id } }).catch(() => ({ data: null }));
    const session = this.#sessions.get(id) ?? toSession(asObject(found.data), false);
    this.#sessions.set(id, session);
    return session;
  }

  async #rootOf(id: string): Promise<string> {
    const { parent } = await this.#find(id);
    return parent === null ? id : this.#rootOf(parent);
  }

  /** One event at a time, in OpenCode's order. */
  #send(event: string, id: string, fields: JsonObject): Promise<JsonObject> {
    const answer = this.#queue.then(() => this.#give(event, id, fields));
    this.#queue = answer.catch(() => null);
    return answer.catch(() => ({}));
  }

  async #give(event: string, id: string, fields: JsonObject, gone?: AbortSignal): Promise<JsonObject> {
    const { parent, version } = await this.#find(id);
    const root = await this.#rootOf(id);
    const agent = parent === null ? {} : { agent_id: id, agent_type: "subagent" };
    const common = { session_id: root, cwd: this.#folder, client_version: version };
    const given = await this.#sendEvent(event, { ...common, ...agent, ...fields }, gone);
    this.#show(textAt(given, "systemMessage"));
    return given;
  }

  /** Text for the user. A run without a terminal shows none. */
  #show(message: string | null): void {
    const body = { message, variant: "info", duration: toastMs };
    if (message !== null) void this.#client.tui.showToast({ body }).catch(() => undefined);
  }
}

interface Reply {
  readonly url: string;
  readonly body: JsonObject;
}

/** A rejected question has no words. */
function replyTo({ answers }: JsonObject): Reply {
  const url = "/question/{requestID}";
  return answers === undefined ? { url: `${url}/reject`, body: {} } : { url: `${url}/reply`, body: { answers } };
}

function permissionReply({ behavior, message, rules }: JsonObject): Reply {
  const reply = behavior === "deny" ? "reject" : rules === undefined ? "once" : "always";
  return { url: "/permission/{requestID}/reply", body: { reply, ...(message !== undefined && { message }) } };
}

/** The user's answers, which stand in the order of the questions. */
function answersIn(args: JsonObject | null, metadata: JsonObject | null): JsonObject {
  const given = listAt(metadata, "answers");
  const questions = listAt(args, "questions").map(asObject);
  return { answers: Object.fromEntries(questions.map((one, at) => [textAt(one, "question") ?? "", given[at]])) };
}

/** The call that a dialog asks about, as far as OpenCode describes it. */
function permissionOf(properties: JsonObject): JsonObject {
  const metadata = objectAt(properties, "metadata") ?? {};
  const patterns = listAt(properties, "patterns").filter((one) => typeof one === "string");
  const tool = textAt(properties, "permission");
  const command = textAt(metadata, "command") ?? patterns.join("\n");
  const { filepath: filePath, ...rest } = metadata;
  const input =
    tool === "bash" ? { ...rest, command } : { ...rest, ...(filePath === undefined ? { patterns } : { filePath }) };
  const rules = listAt(properties, "always").map((ruleContent) => ({ toolName: tool, ruleContent }));
  const always = { type: "addRules", behavior: "allow", rules };
  return { tool_name: tool, tool_input: input, permission_suggestions: rules.length > 0 ? [always] : [] };
}

function toSession(info: JsonObject | null, isNew: boolean): Session {
  return {
    parent: textAt(info, "parentID"),
    version: textAt(info, "version"),
    isNew,
    isStarted: false,
    text: null,
    ran: null,
    takenBack: [],
    choice: {},
  };
}

function takeText(session: Session): JsonObject {
  const { text } = session;
  session.text = null;
  return text === null ? {} : { last_assistant_message: text };
}

function callOf(input: JsonObject): JsonObject {
  return { tool_name: input["tool"], tool_use_id: input["callID"] };
}

function contextOf(answer: JsonObject): string | null {
  return textAt(objectAt(answer, "hookSpecificOutput"), "additionalContext");
}

const reported = new WeakSet<PluginInput>();

/** Once, since the hook runs at each event. */
function reportOnce(input: PluginInput, message: string): void {
  if (reported.has(input)) return;
  reported.add(input);
  const { app, tui } = input.client;
  void app.log({ body: { service: "shim", level: "error", message } }).catch(() => undefined);
  void tui.showToast({ body: { message, variant: "warning", duration: toastMs } }).catch(() => undefined);
}

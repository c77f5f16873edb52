/**
 * SHIM's plugin for OpenCode, which has no hook commands: it starts the hook program for each event
 * and gives its answers to the model. Bundled as one file without dependencies.
 */
import { execFile } from "node:child_process";
import { asObject, numberAt, objectAt, parseObject, textAt, type JsonObject } from "../shared/json-fields.ts";

/** What OpenCode gives a plugin, as far as it is used. */
interface PluginInput {
  readonly directory: string;
  readonly client: {
    readonly session: { get(options: { path: { id: string } }): Promise<{ data?: unknown }> };
    readonly app: { log(options: { body: JsonObject }): Promise<unknown> };
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
  "experimental.session.compacting"(input: JsonObject, output: { readonly context: string[] }): Promise<void>;
}

/** @returns the hook's answer; empty where there is none */
export type SendEvent = (event: string, payload: JsonObject) => Promise<JsonObject>;

/** @param hook the hook program with its arguments */
export function openCodePlugin(hook: readonly string[]): (input: PluginInput) => Promise<OpenCodeHooks> {
  return (input) =>
    Promise.resolve(
      openCodeHooks(
        input,
        hookSender(hook, (message) => logOnce(input, message)),
      ),
    );
}

/** Chat or subagent. */
interface Session {
  readonly parent: string | null;
  readonly version: string | null;
  /** By this process; a session of an earlier one is resumed. */
  readonly isNew: boolean;
  isStarted: boolean;
  /** Answer of the model that no event has carried yet. */
  text: string | null;
}

export function openCodeHooks({ client, directory }: PluginInput, sendEvent: SendEvent): OpenCodeHooks {
  const sessions = new Map<string, Session>();
  let queue: Promise<unknown> = Promise.resolve();

  const remember = (info: JsonObject | null, isNew: boolean): Session => {
    const session = { parent: textAt(info, "parentID"), version: textAt(info, "version"), isNew, isStarted: false };
    return { ...session, text: null };
  };
  const find = async (id: string): Promise<Session> => {
    const known = sessions.get(id);
    if (known) return known;
    const found = await client.session.get({ path: { id } }).catch(() => ({ data: null }));
    const session = sessions.get(id) ?? remember(asObject(found.data), false);
    sessions.set(id, session);
    return session;
  };
  const rootOf = async (id: string): Promise<string> => {
    const { parent } = await find(id);
    return parent === null ? id : rootOf(parent);
  };
  /** One event at a time, in OpenCode's order. */
  const send = (event: string, id: string, fields: JsonObject): Promise<JsonObject> => {
    const answer = queue.then(async () => {
      const { parent, version } = await find(id);
      const root = await rootOf(id);
      const agent = parent === null ? {} : { agent_id: id, agent_type: "subagent" };
      return sendEvent(event, { session_id: root, cwd: directory, client_version: version, ...agent, ...fields });
    });
    queue = answer.catch(() => null);
    return answer.catch(() => ({}));
  };
  const takeText = (session: Session): JsonObject => {
    const { text } = session;
    session.text = null;
    return text === null ? {} : { last_assistant_message: text };
  };
  const readers: Readonly<Record<string, (id: string, properties: JsonObject) => Promise<unknown>>> = {
    "session.created": (id, properties) => {
      sessions.set(id, remember(objectAt(properties, "info"), true));
      return Promise.resolve();
    },
    "message.part.updated": async (id, properties) => {
      const part = objectAt(properties, "part");
      const state = objectAt(part, "state");
      // Only the model's parts have times.
      if (part?.["type"] === "text" && objectAt(part, "time")?.["end"] !== undefined)
        (await find(id)).text = textAt(part, "text");
      if (part?.["type"] === "tool" && state?.["status"] === "error")
        await send("PostToolUseFailure", id, {
          tool_name: part["tool"],
          tool_use_id: part["callID"],
          tool_input: state["input"],
          error: textAt(state, "error") ?? "failed",
        });
    },
    "session.idle": async (id) => {
      const session = await find(id);
      if (session.parent === null) await send("Stop", id, takeText(session));
    },
    "session.error": async (id, properties) => {
      const error = objectAt(properties, "error");
      if (error?.["name"] === "MessageAbortedError" || (await find(id)).parent !== null) return;
      await send("StopFailure", id, {
        error: textAt(objectAt(error, "data"), "message") ?? textAt(error, "name") ?? "unknown error",
      });
    },
    "session.compacted": (id) => send("PostCompact", id, {}),
    "permission.asked": (id) => send("Notification", id, { notification_type: "permission_prompt" }),
  };

  return {
    async event({ event }) {
      const properties = objectAt(event, "properties");
      const id = textAt(properties, "sessionID") ?? textAt(objectAt(properties, "part"), "sessionID");
      const type = textAt(event, "type") ?? "";
      if (properties === null || id === null || !Object.hasOwn(readers, type)) return;
      await readers[type]?.(id, properties);
    },
    async "chat.message"(input, { message, parts }) {
      const id = textAt(input, "sessionID");
      if (id === null) return;
      const session = await find(id);
      if (session.parent !== null) return;
      const texts = parts.map(asObject).filter((part) => part?.["type"] === "text" && part["synthetic"] !== true);
      const model = textAt(objectAt(message, "model"), "modelID") ?? undefined;
      const answers: JsonObject[] = [];
      if (!session.isStarted) {
        session.isStarted = true;
        answers.push(await send("SessionStart", id, { source: session.isNew ? "startup" : "resume", model }));
      }
      const prompt = unquoted(texts.map((part) => textAt(part, "text") ?? "").join("\n"));
      answers.push(await send("UserPromptSubmit", id, { prompt, prompt_id: message["id"], model }));
      const [first] = texts;
      const contexts = answers.map(contextOf).filter((text) => text !== null);
      if (!first) return;
      for (const [at, text] of contexts.entries())
        parts.push({ ...first, id: `${String(first["id"])}shim${at}`, text, synthetic: true });
    },
    async "tool.execute.before"(input, { args }) {
      const id = textAt(input, "sessionID");
      if (id === null) return;
      const session = await find(id);
      const words = session.parent === null ? takeText(session) : {};
      const answer = await send("PreToolUse", id, { ...callOf(input), tool_input: args, ...words });
      const decision = objectAt(answer, "hookSpecificOutput");
      // OpenCode's way to refuse a call: the model reads the message.
      if (decision?.["permissionDecision"] === "deny")
        throw new Error(textAt(decision, "permissionDecisionReason") ?? "SHIM refuses this call.");
    },
    async "tool.execute.after"(input, output) {
      const id = textAt(input, "sessionID");
      if (id === null) return;
      const metadata = asObject(output.metadata);
      const exit = numberAt(metadata, "exit") ?? 0;
      const answer = await send(exit === 0 ? "PostToolUse" : "PostToolUseFailure", id, {
        ...callOf(input),
        tool_input: input["args"],
        ...(metadata?.["exists"] === false ? { tool_response: { type: "create" } } : {}),
        ...(exit === 0 ? {} : { error: `Exit code ${exit}\n${String(output.output)}` }),
      });
      const context = contextOf(answer);
      if (context !== null && typeof output.output === "string") output.output += `\n\n${context}`;
    },
    async "experimental.session.compacting"(input, { context }) {
      const id = textAt(input, "sessionID");
      if (id === null) return;
      await send("PreCompact", id, { trigger: "auto" });
      const text = contextOf(await send("SessionStart", id, { source: "compact" }));
      if (text !== null) context.push(text);
    },
  };
}

/** `opencode run` quotes a prompt with blanks. */
function unquoted(text: string): string {
  return /^"([^]*)"\s*$/.exec(text)?.[1] ?? text;
}

function callOf(input: JsonObject): JsonObject {
  return { tool_name: input["tool"], tool_use_id: input["callID"] };
}

function contextOf(answer: JsonObject): string | null {
  return textAt(objectAt(answer, "hookSpecificOutput"), "additionalContext");
}

/** OpenCode waits for a hook: one that hangs is ended. */
const maxMs = 5_000;
const maxStartMs = 15_000;

function hookSender([command = "node", ...args]: readonly string[], report: (message: string) => void): SendEvent {
  return (event, payload) =>
    new Promise((resolve) => {
      const timeout = event === "SessionStart" ? maxStartMs : maxMs;
      const child = execFile(command, [...args, event, "--client", "opencode"], { timeout }, (error, answer) => {
        if (error) report(`SHIM's hook did not answer at ${event}: ${error.message}`);
        resolve(parseObject(answer) ?? {});
      });
      // A hook that has ended closes its input; the error is the call's.
      child.stdin?.on("error", () => undefined);
      child.stdin?.end(JSON.stringify(payload));
    });
}

const reported = new WeakSet<PluginInput>();

/** [CA12] Once, since the hook runs at each event. */
function logOnce(input: PluginInput, message: string): void {
  if (reported.has(input)) return;
  reported.add(input);
  void input.client.app.log({ body: { service: "shim", level: "error", message } }).catch(() => undefined);
}

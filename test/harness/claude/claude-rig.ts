import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { aModel, ChatRig, fail, longTool } from "#harness/clients/chat-rig.ts";
import { cleanEnv, findChild, startClaude, startTerminal, transcriptPath, untilFound } from "./claude-code.ts";
import type { Claude, Exit, ClaudeOptions, Terminal } from "./claude-code.ts";
import type { Child } from "#harness/machine/process-tree.ts";
import type { ScriptedModel, Step, Script } from "./scripted-model.ts";

const plugin = join(import.meta.dirname, "..", "..", "..", "plugin");
const allowed = ["Bash", "Read", "Write", "Edit", "TaskCreate", "TaskUpdate", "mcp__plugin_shim_shim"];

export interface ChatOptions
  extends
    Pick<Script, "steps" | "summary">,
    Partial<Pick<ClaudeOptions, "args" | "env" | "settings" | "cwd" | "binary" | "mcpServers">> {
  /** Without it the client has what `mcpServers` and its home's settings name. */
  readonly hasPlugin?: boolean;
}

export interface Chat<Process extends Claude = Claude> {
  readonly claude: Process;
  readonly model: ScriptedModel;
}

export class ClaudeRig extends ChatRig {
  constructor(shimHome?: string) {
    super(shimHome === undefined ? undefined : () => shimHome);
  }

  /** `claude -p` with the prompt, as an application starts it that shows the chat to a user. */
  async print(prompt: string, options: ChatOptions): Promise<Chat> {
    const model = await modelOf(options);
    const { env, ...rest } = this.#options(model, options);
    return { model, claude: startClaude({ ...rest, env: { CLAUDE_CODE_ENTRYPOINT: "sdk-ts", ...env }, prompt }) };
  }

  async printed(prompt: string, options: ChatOptions): Promise<Chat> {
    const chat = await this.print(prompt, options);
    const exit = await this.over(chat);
    if (exit.code !== 0) fail(`claude ended with ${JSON.stringify(exit)}: ${JSON.stringify(chat.claude.output)}`);
    return chat;
  }

  /** Resolves when neither the client nor anything that it has started runs: all that they store is stored. */
  async over({ claude, model }: Chat): Promise<Exit> {
    const exit = await claude.waitForExit();
    const own = `ANTHROPIC_BASE_URL=${model.url}`;
    await untilFound(() => this.processes(own).length === 0, "the end of what the client has started");
    await this.endsStored();
    return exit;
  }

  async terminal(options: ChatOptions): Promise<Chat<Terminal>> {
    const model = await modelOf(options);
    const claude = startTerminal(this.#options(model, options));
    onTestFinished(() => claude.kill("SIGKILL"));
    return { model, claude };
  }

  async typed(prompt: string, options: ChatOptions): Promise<Chat<Terminal> & { readonly id: string }> {
    const chat = await this.terminal(options);
    await chat.claude.send(prompt);
    return { ...chat, id: (await this.begun()).id };
  }

  /** `claude -p` that is killed with -9 in the middle of its last tool. */
  async killed(
    prompt: string,
    options: Partial<Omit<ChatOptions, "steps">> & { readonly steps?: readonly Step[] } = {},
  ): Promise<Chat & { readonly id: string }> {
    const chat = await this.print(prompt, { ...options, steps: [...(options.steps ?? []), endless] });
    await endlessTool(chat.claude);
    await this.written(longTool);
    await kill(chat);
    return { ...chat, id: this.sessions().at(-1)?.id ?? fail("no session was stored") };
  }

  /** Until the transcript of the newest session has these words: the client writes it every 100 ms, and loses the rest when killed. */
  written(words: string): Promise<string> {
    const path = this.sessions().at(-1)?.transcriptPath ?? fail("no session with a transcript was stored");
    return untilFound(() => existsSync(path) && readFileSync(path, "utf8").includes(words) && path, words);
  }

  async nextBriefs(): Promise<string[]> {
    return briefs((await this.printed("hello", hello)).model);
  }

  envOf({ url }: ScriptedModel): Record<string, string> {
    const env = { SHIM_HOME: this.paths.home, CLAUDE_CODE_MAX_RETRIES: "0" };
    return cleanEnv({ home: this.home, modelUrl: url, env });
  }

  /** What hooks have shown the user in this session, by its transcript. */
  shown(id: string): string[] {
    const lines = readFileSync(transcriptPath(this.home, this.project, id), "utf8")
      .trim()
      .split("\n");
    return lines.map((line) => JSON.parse(line) as TranscriptLine).flatMap(({ attachment }) => messageOf(attachment));
  }

  #options(model: ScriptedModel, options: ChatOptions): ClaudeOptions {
    const { steps: _steps, summary: _summary, hasPlugin = true, env, args, ...rest } = options;
    return {
      home: this.home,
      cwd: this.project,
      modelUrl: model.url,
      ...(hasPlugin ? { pluginDir: plugin } : {}),
      ...rest,
      args: ["--allowedTools", allowed.join(","), ...(args ?? [])],
      env: { SHIM_HOME: this.paths.home, CLAUDE_CODE_MAX_RETRIES: "0", ...env },
    };
  }
}

interface TranscriptLine {
  readonly attachment?: { readonly type: string; readonly content?: string };
}

function messageOf(attachment: TranscriptLine["attachment"]): string[] {
  return attachment?.type === "hook_system_message" ? [attachment.content ?? ""] : [];
}

function modelOf({ steps, summary }: ChatOptions): Promise<ScriptedModel> {
  if (!existsSync(join(plugin, "dist", "hook.cjs"))) fail('The plugin is not built. Run "npm run build" first.');
  return aModel({ steps, ...(summary === undefined ? {} : { summary }) });
}

export async function kill({ claude }: Chat): Promise<void> {
  claude.kill("SIGKILL");
  await claude.waitForExit();
}

/** What a chat answers that has nothing to do. */
export const hello = { steps: [{ text: "Hello." }] };

export const endless = bash(`exec ${longTool}`);

export function endlessTool(claude: Claude): Promise<Child> {
  return findChild(claude.pid, longTool);
}

export function mcpOf(claudePid: number): Promise<Child> {
  return findChild(claudePid, "launch.mjs mcp");
}

export function bash(command: string): Step {
  return call("Bash", { command });
}

export function call(name: string, input: Readonly<Record<string, unknown>>): Step {
  return { tools: [{ name, input }] };
}

export function shimTool(name: string, input: Readonly<Record<string, unknown>> = {}): Step {
  return call(`mcp__plugin_shim_shim__${name}`, input);
}

/** What the model received with its n-th request of the conversation (the first is 0, the last -1), tool descriptions left out. */
export function received(model: ScriptedModel, index = 0): string {
  const request = model.requests.filter(({ kind }) => kind === "loop").at(index);
  return request?.messages.map(({ text }) => text).join("\n") ?? fail(`there is no request ${index}`);
}

/** The briefs in a request, without what stands around them. */
export function briefs(model: ScriptedModel): string[] {
  const brief = /SHIM: [^\n]*recovered data, not instructions\.\n<(shim-recovered-session-\w+)>[\s\S]*?<\/\1>[^\n]*/g;
  return received(model).match(brief) ?? [];
}

import { spawn } from "node:child_process";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { codex } from "../clients/codex/codex.ts";
import type { Launch } from "../platform/shim-command.ts";
import { programStart, startProblem } from "../platform/program-path.ts";
import { setTimer } from "../platform/timers.ts";
import { type JsonObject, asObject, listAt, objectAt, parseObject, textAt } from "../shared/json-fields.ts";
import { type Result, err, ok } from "../shared/result.ts";
import { hookCommandLine } from "./entries.ts";
import type { Plan } from "./file-edits.ts";
import type { Installation } from "./inspect.ts";
import { lastingLaunch } from "./own-program.ts";
import type { ClientTarget } from "./targets.ts";

/**
 * Codex skips hooks that the user does not trust, without a word. The trust is a hash that only
 * Codex can make, so it is asked: `codex app-server`, an experimental interface.
 */

export interface HookTrust {
  readonly key: string;
  readonly hash: string;
  readonly status: "trusted" | "untrusted" | "modified" | "disabled" | "unknown";
}

export interface TrustSource {
  readonly target: ClientTarget;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Commands of SHIM's hooks; no other is ever trusted. */
  readonly commands: readonly string[];
}

/** Null for a client whose hooks need no trust. */
export function trustSource(target: ClientTarget, launch: Launch, env: TrustSource["env"]): TrustSource | null {
  if (target.client !== "codex") return null;
  const commands = codex.events.map((event) => hookCommandLine(launch, target.platform, event, target.client));
  return { target, env, commands };
}

export function stateText(hooks: readonly HookTrust[], { commands }: TrustSource): string {
  const missing = commands.length - hooks.length;
  const states = ["untrusted", "modified", "disabled", "unknown"] as const;
  const counts = states.map((state) => [hooks.filter(({ status }) => status === state).length, state] as const);
  const found = [...counts, [missing, "missing"] as const].filter(([count]) => count > 0);
  return found.map((words) => words.join(" ")).join(", ");
}

type Call = (method: string, params: object) => Promise<JsonObject>;

/** Reads what Codex holds of SHIM's hooks; an error says why it could not be asked. */
export function readTrust(source: TrustSource): Promise<Result<HookTrust[], string>> {
  return withAppServer(source, (call) => list(call, source));
}

/**
 * Lets Codex store the trust, and asks it a second time: only that answer counts.
 *
 * @returns why not; null: the hooks are trusted
 */
export async function trustHooks(source: TrustSource): Promise<string | null> {
  const hooks = await withAppServer(source, async (call) => {
    const found = await list(call, source);
    const value = Object.fromEntries(found.map(({ key, hash }) => [key, { enabled: true, trusted_hash: hash }]));
    const edits = [{ keyPath: "hooks.state", value, mergeStrategy: "upsert" }];
    await call("config/batchWrite", { edits, reloadUserConfig: true });
    return list(call, source);
  });
  if (!hooks.ok) return hooks.error;
  return isTrusted(hooks.value, source) ? null : stateText(hooks.value, source);
}

/** Returns null where the hooks are trusted, and their file does not change. */
export async function findUntrusted(
  { site, paths }: Installation,
  plans: readonly Plan[],
): Promise<TrustSource | null> {
  const plan = plans.find(({ target, action }) => target.client === "codex" && action === "install");
  const source = plan && trustSource(plan.target, lastingLaunch(site.launch, paths.home), site.machine.env);
  if (!source) return null;
  if (plan.edits.some(({ path }) => path === source.target.settingsFile)) return source;
  const hooks = await readTrust(source);
  return hooks.ok && isTrusted(hooks.value, source) ? null : source;
}

export function isTrusted(hooks: readonly HookTrust[], { commands }: TrustSource): boolean {
  return hooks.length === commands.length && hooks.every(({ status }) => status === "trusted");
}

async function list(call: Call, { target, commands }: TrustSource): Promise<HookTrust[]> {
  const answer = await call("hooks/list", { cwds: [dirname(target.serversFile)] });
  const hooks = listAt(answer, "data").flatMap((folder) => listAt(asObject(folder), "hooks").map(asObject));
  return hooks
    .filter((hook) => commands.includes(textAt(hook, "command") ?? ""))
    .map((hook) => {
      const status = hook?.["trustStatus"];
      const isKnown = status === "trusted" || status === "untrusted" || status === "modified";
      return {
        key: textAt(hook, "key") ?? "",
        hash: textAt(hook, "currentHash") ?? "",
        status: hook?.["enabled"] === false ? "disabled" : isKnown ? status : "unknown",
      };
    });
}

const answerMs = 15_000;

async function withAppServer<T>(source: TrustSource, use: (call: Call) => Promise<T>): Promise<Result<T, string>> {
  const { env } = source;
  const start = programStart("codex", ["app-server"], env);
  const child = spawn(start.file, start.args, {
    env,
    stdio: ["pipe", "pipe", "ignore"],
    windowsHide: true,
  });
  const cancel = setTimer(() => child.kill(), answerMs);
  // Its end says more than a broken pipe.
  child.stdin.on("error", () => undefined);
  const ended = new Promise<never>((_, reject) => {
    child.once("error", reject);
    child.once("close", () => reject(new Error("`codex app-server` ended without an answer")));
  });
  ended.catch(() => undefined);
  const waiting = new Map<unknown, (message: JsonObject) => void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const message = parseObject(line);
    if (message) waiting.get(message["id"])?.(message);
  });
  const send = (message: object): unknown => child.stdin.write(`${JSON.stringify(message)}\n`);
  const call: Call = async (method, params) => {
    const id = waiting.size + 1;
    const answer = new Promise<JsonObject>((resolve) => waiting.set(id, resolve));
    send({ id, method, params });
    const message = await Promise.race([answer, ended]);
    const error = objectAt(message, "error");
    if (error) throw new Error(`${method}: ${textAt(error, "message") ?? "refused"}`);
    return objectAt(message, "result") ?? {};
  };
  try {
    const clientInfo = { name: "shim", title: "SHIM", version: "1" };
    await call("initialize", { clientInfo, capabilities: { experimentalApi: true } });
    send({ method: "initialized" });
    return ok(await use(call));
  } catch (error) {
    return err(startProblem("codex", error));
  } finally {
    cancel();
    child.stdin.end();
    child.kill();
  }
}

import { aFront, aHost, ask } from "#harness/machine/host-rig.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import type { MachineOutput } from "#src/contract/machine/operations.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import type { PermissionRequest } from "#src/runtime/permission-requests.ts";
import * as life from "#src/machine/sessions/life/row.ts";

/** Session of the chat. */
export const session = "7d1f0c62-2f3c-4f0e-9a6b-0d2a4c1f8b11";
export const on: Record<string, unknown> = { answers: { isEnabled: true } };
/** Answer of a hook without a decision. */
export const undecided = { content: [{ type: "text", text: "{}" }] };
export const rm = { tool_name: "Bash", tool_input: JSON.stringify({ command: "rm -r build", description: "Clean" }) };

/** A permission that can be answered, as the host keeps it. */
export const aPermission = {
  agent: null,
  tool: "Bash",
  kind: "permission",
  questions: [],
  decisions: ["allow", "deny"],
  grant: null,
  toolInput: {},
  run: null,
  reason: null,
} as const satisfies Partial<PermissionRequest>;

type Called = Record<string, unknown>;
type Shown = MachineOutput<"requests.list">["requests"][number];

/** A host with the front of one chat of Claude Code, and what a person does from elsewhere. */
export async function aRequestRig({
  config = on,
  env = {},
  isRestart = false,
  clientPid = 100,
  runtime = tempRuntime({ config: { ...config } }),
} = {}) {
  const host = await aHost(runtime, ["setTimeout"]);
  const front = await aFront(host, { pid: 901, clientPid, env, isRestart });
  /** A prompt comes by a process of its own. */
  const event = async (name: string, more: object = {}): Promise<object> => {
    const fields = { session_id: session, cwd: "/p", ...more };
    if (name !== "UserPromptSubmit" && name !== "SessionStart")
      return front.call("shim_hook", { event: name, ...fields });
    const text = answerHook(runtime, name, () => JSON.stringify(fields), clientPid);
    return { content: text === "" ? [] : [{ type: "text", text }] };
  };
  const call = async (name: string, input: object, by = "phone Ada's Pixel", callerEnv = {}): Promise<Called> => {
    const { body } = await ask(host.socket, "POST", `/call/${name}`, { input, env: callerEnv, by });
    return (JSON.parse(body) as { result: Called }).result;
  };
  const answer = (id: string | undefined, decision: string, more: object = {}): Promise<Called> =>
    call("requests.answer", { request: id, decision, ...more });
  const list = async () => ((await call("requests.list", {})) as { value: MachineOutput<"requests.list"> }).value;
  const listed = async (): Promise<readonly Shown[]> => (await list()).requests;
  /** Resolves once the host shows so many. */
  const open = async (count: number): Promise<readonly Shown[]> => {
    for (;;) {
      const all = await listed();
      if (all.length === count) return all;
    }
  };
  const first = async (): Promise<Shown> => (await open(1))[0] as Shown;
  /** A request that is held. */
  const held = async () => {
    const asked = event("PermissionRequest", rm);
    return { ...(await first()), asked };
  };
  const waits = (): unknown => runtime.store.read((sql) => life.read(sql, session), null)?.asks?.for;
  return { runtime, host, front, event, call, answer, list, listed, open, first, held, waits };
}

export const printed = (reply: object): unknown => JSON.parse((reply as typeof undecided).content[0]?.text ?? "");

/** Answer of a hook with a decision. */
export function decided(decision: object): object {
  return { hookSpecificOutput: { hookEventName: "PermissionRequest", decision } };
}

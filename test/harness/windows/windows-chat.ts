import { join } from "node:path";
import { expect } from "vitest";
import { windowsPath } from "./windows.ts";
import type { WindowsUser } from "./windows-user.ts";

const hook = windowsPath(join(import.meta.dirname, "..", "..", "..", "dist", "hook.cjs"));

/** A chat of Claude Code, by its hooks. */
export class WindowsChat {
  readonly #user: WindowsUser;
  readonly #session: string;
  readonly #cwd: string;
  #calls = 0;

  constructor(user: WindowsUser, session: string, cwd = user.project) {
    this.#user = user;
    this.#session = session;
    this.#cwd = cwd;
  }

  async event(name: string, fields: object = {}): Promise<void> {
    const input = { session_id: this.#session, hook_event_name: name, cwd: this.#cwd, ...fields };
    const ran = await this.#user.node([hook, name], JSON.stringify(input), { CLAUDECODE: "1" });
    expect(ran).toMatchObject({ code: 0, err: "" });
  }

  /** A call of a tool that does this. */
  async call(tool: string, input: object, work: () => unknown): Promise<void> {
    const call = { tool_name: tool, tool_input: input, tool_use_id: `toolu_${(this.#calls += 1)}` };
    await this.event("PreToolUse", call);
    await work();
    await this.event("PostToolUse", { ...call, tool_response: {} });
  }
}

import { spawn } from "node:child_process";
import { programPath } from "../../../../platform/program-path.ts";
import type { OpenTerminal } from "../../../../supervisor/chat-death.ts";

/** The opener may live as long as its terminal, and outlives the supervisor. */
export const openTerminal: OpenTerminal = (command, args, cwd) =>
  new Promise((resolve, reject) => {
    const child = spawn(programPath(command, process.env), args, { cwd, detached: true, stdio: "ignore" });
    child.once("error", reject);
    child.once("spawn", () => {
      child.unref();
      resolve();
    });
  });

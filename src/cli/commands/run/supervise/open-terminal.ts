import { spawn } from "node:child_process";
import { programPath } from "../../../../platform/program-path.ts";
import type { OpenTerminal } from "../../../../supervisor/chat-death.ts";

/** What opens a terminal may stay as long as the terminal does, and is the user's from then on: it outlives the supervisor. */
export const openTerminal: OpenTerminal = (command, args, cwd) =>
  new Promise((resolve, reject) => {
    const child = spawn(programPath(command, process.env), args, { cwd, detached: true, stdio: "ignore" });
    child.once("error", reject);
    child.once("spawn", () => {
      child.unref();
      resolve();
    });
  });

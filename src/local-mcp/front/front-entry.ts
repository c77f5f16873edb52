/** `shim mcp`: passes a client's messages on to the host of the machine. */
import { spawn } from "node:child_process";
import { writeSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { hookTool } from "../../contract/hook-tool.ts";
import { messageOf } from "../../shared/error.ts";
import { collectGarbage } from "../../platform/heap.ts";
import { homeFrom } from "../../platform/paths.ts";
import { killHost } from "../host-client/host-watch.ts";
import { ownProcess, runFront } from "./run-front.ts";
import { startHost } from "../host-client/reach-host.ts";

// V8 would wake an idle front every eight seconds, to see whether its small heap has garbage.
setFlagsFromString("--no-memory-reducer-for-small-heaps");
/** A part of the start, since it wakes V8's threads; by then the client has shaken hands. */
setTimeout(collectGarbage, 1_000).unref();

const { env } = process;
const home = homeOrEnd();
const own = ownProcess(home);
const program = join(__dirname, "mcp-host.cjs");

function homeOrEnd(): string {
  try {
    return homeFrom(env);
  } catch (error) {
    writeSync(2, `shim mcp: ${messageOf(error)}\n`);
    return process.exit(1);
  }
}

/** The program of hooks puts the event into the spool: this process redacts nothing. */
function keepEvent(given: unknown): Promise<object> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(__dirname, "hook.cjs"), hookTool], {
      stdio: ["pipe", "pipe", "ignore"],
      env: { ...env, CLAUDE_PID: `${own.clientPid}` },
      windowsHide: true,
    });
    let answer = "";
    child.stdout.on("data", (data: Buffer) => (answer += data.toString()));
    child.stdin.on("error", () => undefined);
    child.stdin.end(JSON.stringify(given ?? null));
    const end = (): void => resolve({ content: answer === "" ? [] : [{ type: "text", text: answer }] });
    child.once("error", (error) => {
      own.log("error", "an event is lost", { error: messageOf(error) });
      end();
    });
    child.once("close", end);
  });
}

runFront(own, {
  startHost: () => startHost({ home, program, env }),
  isExtension: false,
  keepEvent,
  endHost: killHost,
  exit: (code) => process.exit(code),
});

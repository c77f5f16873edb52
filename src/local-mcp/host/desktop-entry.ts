/**
 * Entry of the Claude Desktop bundle. Its Node loads no native module, only node:sqlite.
 * It starts no process either: the front hosts in this one where no other is the host.
 */
import { edgeConfigFromEnv } from "../../coordinator-client/edge-config.ts";
import { homeFrom } from "../../platform/paths.ts";
import { isSameProcess } from "../../platform/processes.ts";
import { messageOf } from "../../shared/error.ts";
import { isWithin } from "../../shared/known-time.ts";
import { openNodeSqlite } from "../../store/driver-node-sqlite.ts";
import { killHost } from "../host-client/host-watch.ts";
import { ownProcess, runFront } from "../front/run-front.ts";
import { hostHere, type Host } from "./host-process.ts";

/** A program that has ended the host here, as a newer one does, may start its own so late. */
const standBackMs = 3_000;
const maxEndMs = 15_000;

function main(): void {
  const home = homeFrom(process.env);
  const own = ownProcess(home);
  const { self, log } = own;
  const edge = edgeConfigFromEnv(process.env);
  // Chats are saved all the same; Claude Desktop logs stderr.
  if (!edge.ok) {
    log("error", "the workspace of the environment cannot be used", { reason: edge.error });
    process.stderr.write(`SHIM: no workspace is joined: ${edge.error}.\n`);
  }
  let host: Host | null = null;
  let endedAt = Number.NEGATIVE_INFINITY;
  let exitCode: number | null = null;
  const onEnded = (): void => {
    host = null;
    endedAt = Date.now();
    if (exitCode !== null) process.exit(exitCode);
  };
  runFront(own, {
    startHost: () => {
      if (host !== null || isWithin(Date.now() - endedAt, standBackMs)) return;
      host = hostHere({ home, self, open: openNodeSqlite, fallbackReason: null, onEnded });
    },
    isExtension: true,
    // Claude Desktop has no hooks.
    keepEvent: () => Promise.resolve({ content: [] }),
    endHost: (hung) => {
      if (isSameProcess(hung, self)) host?.stop();
      else killHost(hung);
    },
    exit: (code) => {
      if (host === null) process.exit(code);
      // The other chats go to the next host.
      exitCode = code;
      setTimeout(() => process.exit(1), maxEndMs).unref();
      host.stop();
    },
  });
}

try {
  main();
} catch (error) {
  process.stderr.write(`shim: ${messageOf(error)}\n`);
  process.exitCode = 1;
}

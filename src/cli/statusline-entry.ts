/**
 * Program of `shim statusline`, and of the status line where no host answers its script. It loads
 * little, and never fails.
 */
import { fstatSync } from "node:fs";
import type { ChatStatus } from "../contract/machine/overview.ts";
import { endReading, ownLimits, readStdin, writeTo } from "../local-mcp/events/hook-stdin.ts";
import { askRunningHost } from "../local-mcp/host-client/running-host.ts";
import { renderStatus } from "../machine/view/status-text.ts";
import { HomeError, homeFrom } from "../platform/paths.ts";
import { oneLine } from "../shared/format.ts";

/** The client waits for the line. */
const maxMs = 200;

async function main(): Promise<void> {
  const home = homeFrom(process.env);
  // A terminal sends no input by itself.
  const stdin = fstatSync(0).isCharacterDevice() ? { text: "", isOpen: false } : await readStdin(ownLimits);
  const status = (await statusOfHost(home, stdin.text)) ?? (await unstoredStatus(stdin.text));
  await writeTo(1, process.argv.includes("--json") ? `${JSON.stringify(status)}\n` : renderStatus(status, Date.now()));
  if (stdin.isOpen) endReading();
}

async function statusOfHost(home: string, text: string): Promise<ChatStatus | null> {
  const asked = { name: "statusline.get", input: { text }, env: process.env, by: "command line" } as const;
  const answer = await askRunningHost(home, asked, maxMs);
  return answer?.result.ok ? (answer.result.value as ChatStatus) : null;
}

/** Without a host nothing is stored. */
async function unstoredStatus(text: string): Promise<ChatStatus> {
  const [{ lastFailure }, { statusOf }, { systemRuntime }, { openNodeSqlite }] = await Promise.all([
    import("../local-mcp/host-client/reach-host.ts"),
    import("../machine/view/status-line.ts"),
    import("../runtime/system-runtime.ts"),
    import("../store/driver-node-sqlite.ts"),
  ]);
  const runtime = systemRuntime({ driver: openNodeSqlite, busyMs: 200, isReadOnly: true, env: process.env });
  const status = statusOf(runtime, text);
  const failure = lastFailure(runtime.paths.home);
  return failure === "" ? status : { ...status, trouble: `cannot save: ${oneLine(failure, 200)}` };
}

main().catch((error: unknown) => {
  return error instanceof HomeError ? writeTo(1, `SHIM: ${error.message}\n`) : undefined;
});

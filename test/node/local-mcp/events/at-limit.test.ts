import { chmodSync } from "node:fs";
import { expect, it } from "vitest";
import { dueNotifications } from "#src/local-mcp/notify/due-notifications.ts";
import { statusOf } from "#src/machine/operations/status-line.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { aLiveClaude } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const limit = { error: "billing_error", last_assistant_message: "Credit balance is too low" };

/** Programs of clients on a PATH of their own. */
function pathOf(...names: string[]): string {
  const folder = temporaryFolder();
  for (const name of names) {
    write(folder, { [name]: "#!/bin/sh\n" });
    chmodSync(`${folder}/${name}`, 0o755);
  }
  return folder;
}

function aRuntime(clients: readonly string[], more: object = {}, env: object = {}): TempRuntime {
  return tempRuntime({ env: { PATH: pathOf(...clients), ...env }, config: { ...more } });
}

/** What the next prompt shows after this failure. */
function lineOf(runtime: TempRuntime, failure: object): string | undefined {
  const claude = aLiveClaude(runtime, "fix the parser");
  claude.tell("StopFailure", { ...failure });
  return claude.prompt("go on").systemMessage;
}

it("a chat at its limit is told when it ends and how to go on, once in the chat and once as a notification", () => {
  const runtime = aRuntime(["codex", "qwen"]);
  const claude = aLiveClaude(runtime, "fix the parser");
  const resetsAt = runtime.now() + 3_600_000;
  const reading = { value: resetsAt, source: "measured", at: runtime.now() } as const;
  runtime.store.write((sql) => sessions.update(sql, claude.session, { readings: { limitResetsAt: reading } }));
  const time = `${new Date(resetsAt).getHours()}:${String(new Date(resetsAt).getMinutes()).padStart(2, "0")}`;
  const goOn = `the limit ends at ${time}. Go on now: `;
  claude.tell("StopFailure", limit);
  const { notices } = statusOf(runtime, JSON.stringify({ session_id: claude.session }));
  expect(notices).toEqual([expect.stringContaining(goOn)]);
  const [told, ...more] = runtime.store.read((sql) => dueNotifications(sql, runtime), []);
  expect([told?.event, more]).toEqual(["usage_limit", []]);
  expect(told?.text).toContain(`"fix the parser" reached a usage limit; ${goOn}`);
  const { systemMessage } = claude.prompt("go on");
  expect(systemMessage).toMatch(new RegExp(`^SHIM: ${goOn}\`.*resume ${claude.session.slice(0, 8)} --in codex\`$`));
  expect(runtime.store.read((sql) => dueNotifications(sql, runtime), [])).toEqual([]);
});

it("the client of the folder's rule is named first; a failure without a code of a limit, a script and a machine without another client get no line", () => {
  const order = [{ client: "qwen" }, "wait"];
  const rule = { atLimit: [{ folder: "/", order, mostUsd: null, mostHours: 8 }] };
  expect(
    lineOf(aRuntime(["codex", "qwen"], rule), {
      error: "rate_limit",
      last_assistant_message: "You've hit your session limit",
    }),
  ).toBeUndefined();
  expect(lineOf(aRuntime(["codex", "qwen"], rule), limit)).toContain("--in qwen");
  expect(lineOf(aRuntime(["codex"], {}, { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" }), limit)).toBeUndefined();
  expect(lineOf(aRuntime([]), limit)).toBeUndefined();
});

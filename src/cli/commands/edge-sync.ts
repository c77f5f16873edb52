import { hostname } from "node:os";
import { identify } from "../../local-mcp/processes.ts";
import { readEdge, type Edge } from "../../local-mcp/authority.ts";
import * as choices from "../../local-mcp/sync/choice.ts";
import { readKeys, type KeyRing } from "../../local-mcp/sync/key-ring.ts";
import { synchronizerOf } from "../../local-mcp/sync/start-sync.ts";
import type { SyncReport } from "../../local-mcp/sync/round.ts";
import { codeOf, type WorkspaceKey } from "../../local-mcp/sync/workspace-key.ts";
import { ok, type Result } from "../../shared/result.ts";
import { failed, notFound, type Refused } from "../answer.ts";
import type { Cli, Common, Outcome } from "../cli.ts";
import { remote } from "../coordination.ts";
import { many } from "../screen-text.ts";
import { changedKey, findKey, kept, keyText, type GivenKey } from "../workspace-key-input.ts";

interface KeyOptions extends Common {
  readonly yes?: boolean;
  readonly code?: boolean;
  readonly keyFile?: string;
}

/** Another process sends: how long it is waited for, and looked at, in ms. */
const patienceMs = 20_000;
const pollEveryMs = 250;

/** [SY75] One round, by this process or the one that sends already. */
export async function syncIt(cli: Cli): Promise<Outcome> {
  const edge = joined(cli);
  if (!edge.ok) return edge;
  const report = await roundOf(cli);
  const { trouble, left } = report;
  if (trouble?.code === "not_uploader")
    return failed(
      "not_synced",
      `another process of this machine sends, and ${left} changes are left; look again with \`shim edge status\`.`,
    );
  if (trouble)
    return failed(trouble.code, `${trouble.message}. ${left} changes wait on this machine; nothing is lost.`);
  return ok({ data: report, text: reportText(report) });
}

async function roundOf(cli: Cli): Promise<SyncReport> {
  const runtime = await cli.runtime();
  const own = identify(runtime.processes, process.pid) ?? { boot: "unknown", pid: process.pid, start: hostname() };
  const synchronizer = synchronizerOf(runtime, own);
  const signal = cli.io.interrupted();
  signal.addEventListener("abort", () => void synchronizer.stop());
  const until = cli.io.now() + patienceMs;
  let report = await synchronizer.syncNow();
  while (isSentByOther(report) && report.left > 0 && !signal.aborted && cli.io.now() < until) {
    await cli.io.wait(pollEveryMs, signal);
    report = await synchronizer.syncNow();
  }
  await synchronizer.stop();
  return isSentByOther(report) && report.left === 0 ? { ...report, trouble: null } : report;
}

function isSentByOther({ trouble }: SyncReport): boolean {
  return trouble?.code === "not_uploader";
}

function reportText({ sessions, checkpoints, forgotten, files, received, refused, left }: SyncReport): string {
  const withFiles = files > 0 ? `, uncommitted files of ${many(files, "session")}` : "";
  const sent = `Sent: ${sessions} sessions, ${checkpoints} checkpoints, ${forgotten} deletions${withFiles}. Received: ${received} sessions of other machines.\n`;
  const wrong = refused > 0 ? `${refused} envelopes of other machines were refused; shim.log names them.\n` : "";
  const rest = left > 0 ? `${left} changes are left.\n` : "";
  return sent + wrong + rest;
}

/** [SY76] Another key for the workspace, or the present one once more. */
export async function rekeyIt(cli: Cli, options: KeyOptions): Promise<Outcome> {
  const edge = joined(cli);
  if (!edge.ok) return edge;
  const ring = readKeys(cli.paths.home, edge.value, cli.io.env);
  if (!ring.ok) return failed("key_unusable", `${ring.error}.`);
  if (ring.value === null) return notFound("this machine has no key of the workspace: `shim edge key` takes one.");
  const present = await presentKey(edge.value, ring.value);
  if (options.code === true) return showCode(cli, options, shownKey(present, ring.value));
  if (!present.ok) return present;
  const not = await notConfirmed(cli, options);
  if (not) return not;
  return changeKey(cli, edge.value, present.value);
}

async function notConfirmed(cli: Cli, { yes }: KeyOptions): Promise<Refused | null> {
  const question =
    "Make another key? All that this machine has stored is sealed again and sent again; other machines go on when they have the new key.";
  const said = await cli.confirm(question, yes === true);
  if (said === "yes") return null;
  return failed("not_confirmed", said === "no" ? "nothing was changed." : `${question} Say so with --yes.`);
}

type Present = Result<WorkspaceKey, Refused["error"]>;

/**
 * [SY76] The key that the workspace seals under, which the newest one here is not where a rekey was cut short: its answer was lost, or it was killed
 * before it asked.
 */
async function presentKey(edge: Edge, { current, keys }: KeyRing): Promise<Present> {
  const link = remote(edge, edge.token);
  if (!link.ok) return link;
  const there = await link.value.call("sync.status", {});
  link.value.close();
  if (!there.ok) return there;
  const { keyId } = there.value;
  const key = keyId === null ? current : keys.get(keyId);
  if (key) return ok(key);
  return failed(
    "wrong_key",
    `the workspace has another key by now (${keyId}), which this machine does not know: \`shim edge rekey --code\` shows it where it was made, \`shim edge key\` takes it here.`,
  );
}

/** With nobody there, what this machine seals under. */
function shownKey(present: Present, { current }: KeyRing): Present {
  return present.ok || present.error.code === "wrong_key" ? present : ok(current);
}

async function showCode(cli: Cli, { yes }: KeyOptions, shown: Present): Promise<Outcome> {
  if (!shown.ok) return shown;
  const key = shown.value;
  const said = await cli.confirm("Show the key of the workspace on this screen?", yes === true);
  if (said !== "yes") return failed("not_confirmed", said === "no" ? "it is not shown." : "say so with --yes.");
  return ok({ data: { keyId: key.id, key: codeOf(key) }, text: keyText(key) });
}

/** The new key is on the disk before the workspace knows of it, and behind the present one until the workspace does. */
async function changeKey(cli: Cli, edge: Edge, from: WorkspaceKey): Promise<Outcome> {
  const key = changedKey();
  const written = kept(cli, edge, key);
  if (!written.ok) return written;
  const link = remote(edge, edge.token);
  if (!link.ok) return link;
  const done = await link.value.call("sync.rekey", { keyId: key.id, from: from.id });
  link.value.close();
  if (!done.ok) {
    const back = kept(cli, edge, from);
    return back.ok ? done : back;
  }
  const report = await roundOf(cli);
  const rest = report.trouble
    ? `Not everything is sealed under it yet: ${report.trouble.message}.\n`
    : reportText(report);
  return ok({
    data: { keyId: key.id, key: codeOf(key), ...report },
    text: `The workspace has another key. ${rest}${keyText(key)}There: \`shim edge key\`.\n`,
  });
}

/** [SY71] The key of a workspace that this machine belongs to. */
export async function takeKey(cli: Cli, options: KeyOptions): Promise<Outcome> {
  const edge = joined(cli);
  if (!edge.ok) return edge;
  const link = remote(edge.value, edge.value.token);
  if (!link.ok) return link;
  const there = await link.value.call("sync.status", {});
  link.value.close();
  if (!there.ok) return there;
  const found = await findKey(cli, edge.value, await givenKey(cli, options), there.value.keyId);
  if (!found.ok) return found;
  const written = kept(cli, edge.value, found.value.key);
  if (!written.ok) return written;
  const { workspace } = edge.value;
  (await cli.runtime()).store.write((sql) => {
    const choice = choices.read(sql, workspace);
    if (choice?.isSynced === false) choices.write(sql, { ...choice, isSynced: true });
  });
  const { key, isNew } = found.value;
  const shown = isNew ? keyText(key) : "";
  return ok({ data: { keyId: key.id }, text: `This machine has key ${key.id} of the workspace.\n${shown}` });
}

async function givenKey(cli: Cli, { keyFile }: KeyOptions): Promise<GivenKey> {
  if (keyFile !== undefined) return { keyFile };
  return cli.io.isInteractive ? {} : { line: await cli.io.readInput() };
}

function joined(cli: Cli): Result<Edge, Refused["error"]> {
  const edge = readEdge(cli.paths.home, cli.io.env);
  if (!edge.ok) return failed("edge_unusable", edge.error);
  return edge.value === null ? notFound("this machine has joined no workspace.") : ok(edge.value);
}

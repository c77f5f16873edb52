import { pluralize } from "../../../shared/format.ts";
import * as joinPreferences from "../../../local-mcp/sync/join-preferences.ts";
import type { EdgeConfig } from "../../../coordinator-client/edge-config.ts";
import { readKeys, type KeyRing } from "../../../local-mcp/sync/key-ring.ts";
import type { SyncReport } from "../../../contract/machine/workspaces.ts";
import { formatCode, type WorkspaceKey } from "../../../local-mcp/sync/workspace-key.ts";
import { ok } from "../../../shared/result.ts";
import { failed, notFound, type CliResult } from "../../answer.ts";
import { requireYes } from "../../require-yes.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import { requireEdge } from "./membership.ts";
import {
  generateKey,
  findKey,
  saveKey,
  storeKey,
  keyText,
  type FoundKey,
  type GivenKey,
} from "./workspace-key-input.ts";

interface KeyOptions extends CommonOptions {
  readonly yes?: boolean;
  readonly code?: boolean;
  readonly keyFile?: string;
}

const maxWaitMs = 20_000;
const pollIntervalMs = 250;

export async function syncNow(cli: Cli): Promise<CommandResult> {
  const report = await runRounds(cli);
  if (!report.ok) return report;
  const { trouble, left } = report.value;
  if (trouble?.code === "not_uploader")
    return failed(
      "not_synced",
      `another process of this machine is sending, and ${pluralize(left, "change")} left to send; \`shim join status\` shows how many remain.`,
    );
  if (trouble)
    return failed(
      trouble.code,
      `${trouble.message}. ${pluralize(left, "change")} ${left === 1 ? "waits" : "wait"} on this machine; nothing is lost.`,
    );
  return ok({ data: report.value, text: reportText(report.value) });
}

/** A round is repeated while another process of this machine sends. */
async function runRounds(cli: Cli): Promise<CliResult<SyncReport>> {
  let answer = await cli.call("workspace.sync", {});
  if (!isSentByOther(answer)) return answer;
  const signal = cli.io.interrupted();
  const deadline = cli.io.now() + maxWaitMs;
  while (isSentByOther(answer) && answer.value.left > 0 && !signal.aborted && cli.io.now() < deadline) {
    await cli.io.wait(pollIntervalMs, signal);
    answer = await cli.call("workspace.sync", {});
  }
  return isSentByOther(answer) && answer.value.left === 0 ? ok({ ...answer.value, trouble: null }) : answer;
}

function isSentByOther(answer: CliResult<SyncReport>): answer is { readonly ok: true; readonly value: SyncReport } {
  return answer.ok && answer.value.trouble?.code === "not_uploader";
}

function reportText({ sessions, checkpoints, forgotten, files, received, refused, left }: SyncReport): string {
  const withFiles = files > 0 ? `, uncommitted files of ${pluralize(files, "session")}` : "";
  const sent = `Sent: ${pluralize(sessions, "session")}, ${pluralize(checkpoints, "checkpoint")}, ${pluralize(forgotten, "deletion")}${withFiles}. Received: ${pluralize(received, "session")} of other machines.\n`;
  const wrong = refused > 0 ? `${refused} envelopes of other machines were refused; shim.log names them.\n` : "";
  const remainderText = left > 0 ? `Left: ${pluralize(left, "change")}.\n` : "";
  return sent + wrong + remainderText;
}

export async function rekeyWorkspace(cli: Cli, options: KeyOptions): Promise<CommandResult> {
  const edge = requireEdge(cli);
  if (!edge.ok) return edge;
  const ring = readKeys(cli.paths.home, edge.value, cli.io.env);
  if (!ring.ok) return failed("key_unusable", `${ring.error}.`);
  if (ring.value === null) return notFound("this machine has no key of the workspace: set it with `shim join key`.");
  const present = await presentKey(cli, edge.value, ring.value);
  if (options.code === true) return showCode(cli, options, displayedKey(present, ring.value));
  if (!present.ok) return present;
  const refused = await requireYes(cli, rekeyQuestion, options);
  if (refused) return refused;
  return changeKey(cli, edge.value, present.value);
}

const rekeyQuestion =
  "Make a new key? Everything that this machine has stored is sealed and sent again; other machines continue once they have the new key.";

type PresentKey = CliResult<WorkspaceKey>;

/** [SY97] Key that the workspace seals under: not the newest one here after a failed rekey. */
async function presentKey(cli: Cli, edge: EdgeConfig, { current, keys }: KeyRing): Promise<PresentKey> {
  const syncStatus = await cli.withWorkspace((link) => link.call("sync.status", {}), edge);
  if (!syncStatus.ok) return syncStatus;
  const { keyId } = syncStatus.value;
  const key = keyId === null ? current : keys.get(keyId);
  if (key) return ok(key);
  return failed(
    "wrong_key",
    `the workspace now has another key (${keyId}), which this machine does not have: \`shim join rekey --code\` shows it on the machine that made it, \`shim join key\` sets it here.`,
  );
}

function displayedKey(present: PresentKey, { current }: KeyRing): PresentKey {
  return present.ok || present.error.code === "wrong_key" ? present : ok(current);
}

async function showCode(cli: Cli, { yes }: KeyOptions, shown: PresentKey): Promise<CommandResult> {
  if (!shown.ok) return shown;
  const key = shown.value;
  const reply = await cli.confirm("Show the key of the workspace on this screen?", yes === true);
  if (reply !== "yes")
    return failed("not_confirmed", reply === "no" ? "the key was not shown." : "confirm with --yes.");
  return ok({ data: { keyId: key.id, key: formatCode(key) }, text: keyText(key) });
}

/** Stores the new key before the request, and restores the current one if the workspace refuses. */
async function changeKey(cli: Cli, edge: EdgeConfig, from: WorkspaceKey): Promise<CommandResult> {
  const key = generateKey();
  const written = storeKey(cli, edge, key);
  if (!written.ok) return written;
  const rekeyed = await cli.withWorkspace((link) => link.call("sync.rekey", { keyId: key.id, from: from.id }), edge);
  if (!rekeyed.ok) {
    const back = storeKey(cli, edge, from);
    return back.ok ? rekeyed : back;
  }
  const rounds = await runRounds(cli);
  if (!rounds.ok) return rounds;
  const report = rounds.value;
  const remainderText = report.trouble
    ? `Not everything is sealed under the new key yet: ${report.trouble.message}.\n`
    : reportText(report);
  return ok({
    data: { keyId: key.id, key: formatCode(key), ...report },
    text: `The workspace has a new key. ${remainderText}${keyText(key)}On the other machines: \`shim join key\`.\n`,
  });
}

export async function adoptKey(cli: Cli, options: KeyOptions): Promise<CommandResult> {
  const edge = requireEdge(cli);
  if (!edge.ok) return edge;
  const foundKey = await cli.withWorkspace<FoundKey>(async (link) => {
    const syncStatus = await link.call("sync.status", {});
    if (!syncStatus.ok) return syncStatus;
    const found = await findKey(cli, edge.value, await givenKey(cli, options), syncStatus.value.keyId);
    const saved = found.ok ? await saveKey(cli, edge.value, link, found.value) : found;
    return saved.ok ? found : saved;
  }, edge.value);
  if (!foundKey.ok) return foundKey;
  const { workspace } = edge.value;
  (await cli.runtime()).store.write((sql) => {
    const choice = joinPreferences.read(sql, workspace);
    if (choice?.isSynced === false) joinPreferences.write(sql, { ...choice, isSynced: true });
  });
  const { key, isNew } = foundKey.value;
  const shown = isNew ? keyText(key) : "";
  return ok({ data: { keyId: key.id }, text: `This machine has key ${key.id} of the workspace.\n${shown}` });
}

async function givenKey(cli: Cli, { keyFile }: KeyOptions): Promise<GivenKey> {
  if (keyFile !== undefined) return { keyFile };
  return cli.io.isInteractive ? {} : { line: await cli.io.readInput() };
}

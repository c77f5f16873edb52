import { localTime } from "../../contract/age.ts";
import type { Failure } from "../../contract/errors.ts";
import { readFileSync } from "node:fs";
import { join as joinPath } from "node:path";
import { parseEnv } from "node:util";
import { Option, type Command } from "commander";
import * as z from "zod";
import { flag } from "../../contract/machine/operation.ts";
import type { MachineInput, MachineOutput } from "../../contract/machine/operations.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { SyncCounts, SyncState, SyncStatus } from "../../contract/machine/workspaces.ts";
import type { Workspace } from "../../machine/sharing/operations/workspace.ts";
import { age, pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { exitCodes } from "../../contract/exit-codes.ts";
import { type Lines, wrongWords } from "../answer.ts";
import { tableView } from "../view.ts";
import { addGroup, requireYes, type Cli, type CommandResult, type CommonOptions } from "../cli.ts";
import { define } from "../operation-command.ts";
import { addTransfer } from "./workspace-transfer.ts";
import { workspaceOperations as machineWorkspace } from "../../contract/machine/workspaces.ts";
import { workspaceOperations } from "../../contract/workspaces.ts";

const devPort = "8787";
const devUrl = (port: string): string => `http://127.0.0.1:${port}`;

const joinFields = {
  name: z.string(),
  import: flag("also sync the sessions that this machine has from before"),
};
const CreateInput = z.strictObject({
  url: z
    .string()
    .optional()
    .describe(`URL of the coordinator (default: ${devUrl(devPort)})`),
  ...joinFields,
});
const JoinInput = z.strictObject({
  url: z.string().optional().describe("URL of the coordinator"),
  sync: z.boolean().default(true).describe("only coordinate: sessions and checkpoints stay on this machine"),
  ...joinFields,
});
const example = { name: "team", url: "https://shim.example.com" };

export function addCommand(program: Command, cli: Cli): void {
  const workspace = addGroup(program, "workspace", "the workspace that machines share: create, join or leave one");
  define(cli, workspace, "create", {
    input: CreateInput,
    summary: "Make a workspace (needs SHIM_ADMIN_SECRET), and join it with this machine.",
    example,
    args: ["name"],
    asks: true,
    run: (input, options) => createWorkspace(cli, input, options),
  });
  define(cli, workspace, "join", {
    input: JoinInput,
    summary: "Join a workspace; token and key are read from stdin, a line each, or asked for.",
    example,
    args: ["name"],
    asks: true,
    run: (input, options) => joinWorkspace(cli, input, options),
  });
  addLeave(workspace, cli);
  define(cli, workspace, "status", {
    operation: "workspace.status",
    of: machineWorkspace,
    view: (status) => [coordinatorLine(status), ...(status.sync ? syncStateLines(cli, status.sync) : [])],
    exitOf: ({ unreachable }) => (unreachable === undefined ? exitCodes.ok : exitCodes.failed),
  });
  define(cli, workspace, "sync", { operation: "workspace.sync", of: machineWorkspace, view: syncLines });
  addRestore(workspace, cli);
  addTransfer(workspace, cli);
  define(cli, workspace, "delete", {
    operation: "workspace.delete",
    of: workspaceOperations,
    args: ["name"],
    view: (_deleted, _cli, { input: { name } }) => [
      `The workspace ${name} is deleted. This machine keeps its own sessions: \`shim workspace leave\`, and it is its own coordinator again.`,
    ],
  });
  define(cli, workspace, "rotate-secret", {
    operation: "workspace.renew-tokens",
    of: machineWorkspace,
    view: renewedLines,
    exitOf: ({ others }) => (others === null || others.length === 0 ? exitCodes.ok : exitCodes.incomplete),
  });
  addTokens(workspace, cli);
  addKeys(workspace, cli);
}

async function joinWorkspace(
  cli: Cli,
  { name: workspace, url, sync, import: earlier }: z.infer<typeof JoinInput>,
  options: CommonOptions,
): Promise<CommandResult> {
  if (url === undefined) return wrongWords("give the coordinator: `shim workspace join <name> --url <url>`.");
  const [token, key] = cli.io.isInteractive ? [] : (await cli.io.readInput()).trim().split(/\r?\n/);
  const input = {
    url,
    workspace,
    earlier,
    sync,
    ...omitUndefined({ token: token?.trim() || undefined, key: key?.trim() }),
  };
  const joined = await callWithAnswers(cli, "workspace.join", input, options);
  return joined.ok ? ok({ data: joined.value, text: joinedLines(joined.value) }) : joined;
}

async function createWorkspace(
  cli: Cli,
  {
    name: workspace,
    url = devUrl(cli.io.env["SHIM_DEV_PORT"] || devPort),
    import: earlier,
  }: z.infer<typeof CreateInput>,
  options: CommonOptions,
): Promise<CommandResult> {
  const input = { url, workspace, earlier, ...omitUndefined({ secret: adminSecret(cli, url) }) };
  const created = await callWithAnswers(cli, "workspace.create", input, options);
  if (!created.ok) return created;
  const next = "For another machine: `shim workspace token create --machine <name>`.";
  return ok({ data: created.value, text: [...joinedLines(created.value), next] });
}

/** The development server's secret lies beside it; elsewhere only the environment has one. */
function adminSecret({ io }: Cli, url: string): string | undefined {
  const given = io.env["SHIM_ADMIN_SECRET"];
  if (given || !isDevServer(url, io.env["SHIM_DEV_PORT"])) return given || undefined;
  try {
    return parseEnv(readFileSync(joinPath(io.cwd, ".dev.vars"), "utf8"))["SHIM_ADMIN_SECRET"] || undefined;
  } catch {
    return undefined;
  }
}

function isDevServer(text: string, ownPort: string | undefined): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "http:" || url.pathname !== "/") return false;
  return ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname) && [devPort, ownPort].includes(url.port);
}

function joinedLines({ workspace, machine, keyId, key, stays }: MachineOutput<"workspace.join">): Lines {
  const { tasks, keys } = stays;
  return [
    `This machine has joined ${workspace} as ${machine}.`,
    tasks + keys > 0 &&
      `${pluralize(tasks, "open task")} and ${pluralize(keys, "key")} of state stay in this machine's own file, and wait there until \`shim workspace leave\`.`,
    ...(keyId === null ? ["Nothing is synced: this machine only coordinates."] : edgeVisibility),
    ...keyLines(key),
    keyId !== null && "`shim workspace sync` sends the local sessions now; open chats do it automatically.",
  ];
}

const edgeVisibility = [
  "What the coordinator can read: tasks, messages, state, reservations (paths of files below a project), ids, progress and SHIM's version of chats, names of machines;",
  "of sessions and checkpoints only ids, sizes and times: names of projects and files, titles, prompts and states are sealed on this machine (docs/internals/sync.md).",
];

/** Calls an operation again with a person's answer to each refusal that asks for one. */
async function callWithAnswers<Name extends "workspace.adopt" | "workspace.create" | "workspace.join">(
  cli: Cli,
  name: Name,
  input: MachineInput<Name>,
  options: CommonOptions,
): Promise<Result<MachineOutput<Name>>> {
  const asked = new Set<string>();
  for (let given = input; ;) {
    const answer = await cli.call(name, given);
    if (answer.ok || asked.has(answer.error.code)) return answer;
    asked.add(answer.error.code);
    const more = await ask(cli, answer.error, options);
    if (!more.ok) return more;
    given = { ...given, ...more.value };
  }
}

const questions: Readonly<Record<string, { readonly field: string; readonly question: string }>> = {
  token_needed: { field: "token", question: "Token of this machine (shim_): " },
  key_needed: { field: "key", question: "Key of the workspace (shimkey-): " },
};

async function ask(cli: Cli, error: Failure, options: CommonOptions): Promise<Result<object>> {
  const { code, message } = error;
  if (code === "other_workspace") return (await requireYes(cli, message, options)) ?? ok({ replace: true });
  const asking = questions[code];
  if (!asking || !cli.io.isInteractive) return err(error);
  cli.progress(message);
  const text = ((await cli.io.ask(asking.question)) ?? "").trim();
  return text === "" ? err(error) : ok({ [asking.field]: text });
}

function addKeys(workspace: Command, cli: Cli): void {
  const keys = addGroup(workspace, "key", "the key that seals what the workspace's machines sync");
  define(cli, keys, "show", {
    operation: "workspace.key",
    of: machineWorkspace,
    question: "Show the key of the workspace on this screen?",
    view: ({ key }) => keyLines(key),
  });
  define(cli, keys, "set", {
    summary: "Set the workspace's key; it is read from stdin, or asked for.",
    run: async () => {
      const code = cli.io.isInteractive ? "" : (await cli.io.readInput()).trim();
      const adopted = await callWithAnswers(cli, "workspace.adopt", code === "" ? {} : { key: code }, {});
      if (!adopted.ok) return adopted;
      const first = `This machine has key ${adopted.value.keyId} of the workspace.`;
      return ok({ data: adopted.value, text: [first, ...keyLines(adopted.value.key)] });
    },
  });
  define(cli, keys, "rotate", {
    operation: "workspace.rekey",
    of: machineWorkspace,
    question:
      "Make a new key? Everything that this machine has stored is sealed and sent again; other machines continue once they have the new key.",
    view: rotatedLines,
  });
}

function rotatedLines(changed: MachineOutput<"workspace.rekey">): Lines {
  const { key, trouble } = changed;
  const [sent, ...others] =
    trouble === null ? syncLines(changed) : [`Not everything is sealed under the new key yet: ${trouble}.`];
  return [
    `The workspace has a new key. ${sent}`,
    ...others,
    ...keyLines(key),
    "On the other machines: `shim workspace key set`.",
  ];
}

function keyLines(code: string | null): string[] {
  if (code === null) return [];
  return [
    `Key of the workspace: ${code}`,
    "Other machines ask for it when they join. Keep it where you keep passwords: anyone who has it and a token can read what is synced;",
    "when every machine that has it is lost, what is synced is lost too. There is no other copy, not even at the coordinator.",
  ];
}

function coordinatorLine(status: MachineOutput<"workspace.status">): string {
  const {
    where,
    unreachable,
    chats = 0,
    revision = 0,
    overdueRows = 0,
    sockets = 0,
    storage,
    frozenForMs = 0,
  } = status;
  if (unreachable !== undefined) return `Coordinator: ${where}, which cannot be used now: ${unreachable}`;
  const late =
    overdueRows > 0
      ? `, late with ${pluralize(overdueRows, "change")} that ${overdueRows === 1 ? "is" : "are"} due`
      : "";
  const full = storage?.state === "full" ? ", its storage is full: delete what is not needed" : "";
  return `Coordinator: ${where}; ${pluralize(chats, "chat")}, revision ${revision}, ${pluralize(sockets, "connection")}${late}${full}${frozenText(frozenForMs)}.`;
}

function frozenText(ms: number | null): string {
  if (ms === null) return ", read only until its import is complete";
  return ms > 0 ? `, read only for another ${age(ms)} (\`shim workspace thaw\` ends that)` : "";
}

function syncStateLines(cli: Cli, { key, problem, sendsFiles, status }: SyncState): Lines {
  if (problem !== null) return [`Not synced: ${problem}`];
  if (status === null) return [`Key ${key}. Nothing is synced yet: \`shim workspace sync\`, or the next chat.`];
  const { device, keyId, backlog, oldestAt, notes, files } = status;
  const oldest = backlog > 0 && oldestAt !== null ? `, the oldest ${cli.ago(oldestAt)}` : "";
  const synced = notes.syncedAt === undefined ? "never" : cli.ago(notes.syncedAt);
  const other = keyId !== "" && keyId !== key ? ` (what was sent is sealed under ${keyId})` : "";
  return [
    `Device ${device}, key ${key}${other}.`,
    `Synced: ${synced}; ${pluralize(backlog, "change")} ${backlog === 1 ? "waits" : "wait"}${oldest}.`,
    notes.trouble ? `Last problem, ${cli.ago(notes.trouble.at)}: ${notes.trouble.message}` : null,
    notes.refused ? refusedText(notes.refused) : null,
    notes.keptHere ? `${notes.keptHere} checkpoints could not be sent, and are here only.` : null,
    filesLine(sendsFiles, files),
  ];
}

function filesLine(sendsFiles: boolean, { sessions, bytes, notSent, reason }: SyncStatus["files"]): string | false {
  const sent =
    sessions > 0
      ? `those of ${pluralize(sessions, "session")} are stored there (${bytes} bytes)`
      : "none are stored there";
  const problem = notSent > 0 ? `; the newest of ${pluralize(notSent, "session")} are here only: ${reason}` : "";
  if (sendsFiles) return `Uncommitted files: ${sent}${problem}.`;
  return sessions > 0 && `Uncommitted files are not sent any more; ${sent}.`;
}

function refusedText(count: number): string {
  const what = count === 1 ? "1 record of other machines was" : `${count} records of other machines were`;
  return `${what} refused: this machine may lack their key (\`shim workspace key set\`). shim.log names them.`;
}

function syncLines({ sessions, checkpoints, forgotten, files, received, refused, left }: SyncCounts): Lines {
  const withFiles = files > 0 ? `, uncommitted files of ${pluralize(files, "session")}` : "";
  return [
    `Sent: ${pluralize(sessions, "session")}, ${pluralize(checkpoints, "checkpoint")}, ${pluralize(forgotten, "deletion")}${withFiles}. Received: ${pluralize(received, "session")} of other machines.`,
    refused > 0 && refusedText(refused),
    left > 0 && `Left: ${pluralize(left, "change")}.`,
  ];
}

function addLeave(workspace: Command, cli: Cli): void {
  define(cli, workspace, "leave", {
    operation: "workspace.leave",
    of: machineWorkspace,
    question: async ({ forget }) => {
      const current = await cli.call("workspace.current", {});
      if (!current.ok) return current;
      const { joined, problem } = current.value;
      if (joined === null) return ok(problem && "Leave the workspace of an unreadable edge.json?");
      const { url, workspace, hasSynced, loss } = joined;
      const copies = hasSynced && forget !== true ? " What it has stored there stays; --forget deletes that too." : "";
      return ok(
        `Leave ${url}, workspace ${workspace}? The token is deleted here; also revoke it there.${loss}${copies}`,
      );
    },
    view: ({ left, purged, leavesCopies }) => [
      `Left ${left}; this machine is its own coordinator again.`,
      purged &&
        `${pluralize(purged.sessions, "session")} and ${pluralize(purged.checkpoints, "checkpoint")} of this machine were deleted there.`,
      leavesCopies && "Its sessions were not deleted there; the key stays on this machine.",
    ],
  });
}

/** Shows what would be lost before it asks. */
function addRestore(workspace: Command, cli: Cli): void {
  define(cli, workspace, "restore", {
    operation: "workspace.restore",
    of: workspaceOperations,
    summary: "Put the whole workspace back to a time of the last 30 days (needs the admin token).",
    hidden: ["isDryRun", "quietMs"],
    question: false,
    own: [new Option("--dry-run", "only say what would be lost"), new Option("-y, --yes", "do not ask")],
    async run({ call, input, options }) {
      const planned = await call({ isDryRun: true });
      if (!planned.ok || options["dryRun"] === true) return planned;
      cli.io.stderr(cli.format(`${restoreLines(planned.value, input.to).join("\n")}\n`));
      const question = "Put the workspace back? Everything since then is lost, for all its machines.";
      const refused = await requireYes(cli, question, { yes: options["yes"] === true });
      return refused ?? call({ isDryRun: false });
    },
    view: (done, _cli, { input }) =>
      done.epoch === null
        ? restoreLines(done, input.to)
        : [
            `The workspace is as it was at ${localTime(input.to)}, with epoch ${done.epoch}: leases and terms of the lost time count no more.`,
            "No lease is granted for ten minutes, since a chat may still trust a lost one. Machines send again what is missing here.",
          ],
  });
}

function restoreLines({ lost }: OutputOf<"workspace.restore">, to: number): string[] {
  const entries = lost.map(({ kind, count }) => `  ${count}  ${kind}`);
  return [
    lost.length === 0
      ? `The audit log has no entry since ${localTime(to)}.`
      : `Entries of the audit log since ${localTime(to)}, which would be lost with what they are about:`,
    ...entries,
    "Lost, too: tasks, messages and state since then. Machines send their sessions again.",
  ];
}

function renewedLines({ renewed, others }: MachineOutput<"workspace.renew-tokens">): Lines {
  const own = `This machine's ${renewed.join(" and ")} ${renewed.length === 1 ? "token is" : "tokens are"} signed by the coordinator's present secret.`;
  if (others === null) return [own];
  if (others.length === 0) return [own, "So is every other valid token: the previous secret can be deleted."];
  const lines = others.map(
    ({ id, machine, scope, signedAgoMs }) => `  ${machine} (${scope}), ${id}, signed ${age(signedAgoMs)} ago`,
  );
  return [
    own,
    "Not signed in the last day; they end with the secret that signed them:",
    ...lines,
    "On each of these machines: `shim workspace rotate-secret`.",
  ];
}

function addTokens(workspace: Command, cli: Cli): void {
  const token = addGroup(workspace, "token", "tokens of machines (needs the workspace's admin token)");
  define(cli, token, "create", {
    operation: "tokens.create",
    of: workspaceOperations,
    summary: "A token for one machine, shown once.",
    view: async ({ id, token: secret }, _cli, { input: { machine } }) => {
      const current = await cli.call("workspace.current", {});
      const { workspace = "<workspace>", url = "<url>" } = (current.ok && current.value.joined) || {};
      cli.progress(
        `Token ${id} for ${machine}, shown only now. On that machine, with the token on stdin: shim workspace join ${workspace} --url ${url} < token`,
      );
      return [secret];
    },
  });
  define(cli, token, "list", {
    operation: "tokens.list",
    of: workspaceOperations,
    view: tableView({
      rows: ({ tokens }) => tokens,
      columns: {
        ID: "id",
        MACHINE: "machine",
        SCOPE: "scope",
        MADE: "ageMs",
        STATE: ({ isRevoked, expiresInMs }) => (isRevoked ? "revoked" : expiresInMs === 0 ? "over" : "good"),
        EXPIRES: ({ expiresInMs: ms }) => (ms === null ? "never" : ms === 0 ? "-" : `in ${age(ms)}`),
      },
      empty: "No tokens.",
    }),
  });
  define(cli, token, "revoke", {
    operation: "tokens.revoke",
    of: workspaceOperations,
    args: ["id"],
    question: false,
    async run({ link, call, input }) {
      const id = await findToken(link, input.id);
      if (!id.ok) return id;
      const revoked = await call({ id: id.value });
      return revoked.ok ? ok({ ...revoked.value, id: id.value }) : revoked;
    },
    view: ({ id }) => [`${id} is revoked, and its connections are closed.`],
  });
}

const maxCandidates = 8;

/** Resolves a prefix of a token's id; the coordinator answers for an unknown one. */
async function findToken(link: Workspace, given: string): Promise<Result<string>> {
  const listed = await link.call("tokens.list", {});
  if (!listed.ok) return listed;
  const found = listed.value.tokens.filter(({ id }) => id.startsWith(given));
  const [first, second] = found;
  if (!second) return ok(first?.id ?? given);
  const lines = found.slice(0, maxCandidates).map(({ id, machine }) => `\n  ${id}  ${machine}`);
  const message = `"${given}" matches several tokens; give more of the id:${lines.join("")}`;
  return err({ code: "ambiguous", message, candidates: found.map(({ id }) => id) });
}

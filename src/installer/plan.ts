import { formOf } from "../clients/details.ts";
import { slashCommands, stepsOf, type SlashCommand } from "../contract/slash-commands.ts";
import { commandLine, type Shell } from "../platform/shell-line.ts";
import { type Launch, withShimCommand } from "../platform/shim-command.ts";
import { type Result, err, ok } from "../shared/result.ts";
import { hashOf, installsOf } from "./apply.ts";
import { type ClientSettings, entriesOf, shapeProblemOf } from "./client-entries.ts";
import { handlerIn, hookCommandLine, isNameTaken, serverName, enabledPlugins } from "./entries.ts";
import {
  type ClientRefusal,
  type ReadText,
  refusal,
  type Entry,
  type FileEdit,
  type PieceChange,
  type Plan,
  type PlanContext,
  type Said,
  type SettingsFile,
  changeText,
  loadSound,
  type BackupFile,
} from "./file-edits.ts";
import { findUnread } from "./settings.ts";
import type { ClientTarget } from "./targets.ts";

/** SHIM's slash commands in one file of a client: `$shim undo` in Codex, else `/shim undo`. */

const mark = "Written by shim init; shim init --remove removes it.";

function isOwnCommands(text: string): boolean {
  return text.includes(mark);
}

/** @param path of a skill, which other skills stand beside, or of a command of Gemini CLI */
function commandsText(path: string, { node, script }: Launch, shell: Shell): string {
  const commands = Object.entries<SlashCommand>(slashCommands);
  const about = `Commands of SHIM, which keeps chats alive: ${commands.map(([name]) => name).join(", ")}.`;
  const sections = commands.map(([name, command]) => {
    const steps = stepsOf(command, "<the words after the command>");
    return `## ${`${name} ${command.argument ?? ""}`.trim()}\n\n${command.description}.\n\n${steps}\n`;
  });
  const bodyFor = (given: string): string => `The user typed /shim:${given}, a command of SHIM.
Where its words are not filled in, they are in the user's message. The first word is a section of these: do what the section
says, and nothing of the others. Without one list their headings, each with its first sentence.

${sections.join("\n")}`;
  const text = path.endsWith(".toml")
    ? `# ${mark}\ndescription = "${about}"\nprompt = '''\n${bodyFor("{{args}}")}'''\n`
    : `---
name: shim
description: "${about} Only for a message that calls this skill by its name."
---

<!-- ${mark} -->

${bodyFor("$ARGUMENTS")}`;
  const start = commandLine([node, script], shell);
  return withShimCommand(text, () => start);
}

/**
 * Plans all of SHIM's entries, each once. With Claude Code's plugin
 * enabled, leaves server and hooks to it. Refuses unsound files, and the name of another server.
 */
export function planInstall(target: ClientTarget, context: PlanContext): Result<Plan, ClientRefusal> {
  const loaded = load(target, context);
  return loaded.ok ? planFrom(loaded.value, target, context) : loaded;
}

export function planFrom(
  { files, own }: LoadedFiles,
  target: ClientTarget,
  context: PlanContext,
): Result<Plan, ClientRefusal> {
  const { servers, settings } = files;
  const isPlugin = settings !== null && enabledPlugins(settings.root).length > 0;
  if (!isPlugin && isNameTaken(servers.root, formOf(target.client).servers)) {
    const text = `has another MCP server named "${serverName}". Rename or remove that one and try again.`;
    return err(refusal("name_taken", servers.path, text));
  }
  const foreign = own.find(({ before, isOurs }) => before !== null && !isOurs(before));
  if (foreign) return err(refusal("name_taken", foreign.path, notOurs));
  const { entries, notes } = entriesOf(target, files, context);
  const edits = byFile(entries, "add").map(([file, changes]) => {
    const { text, summary } = changeText(file.path, file.text, changes);
    return toEdit(file, text, summary);
  });
  const all = [...edits, ...own.map((file) => editOwn(file, target, context))].filter((edit) => edit !== null);
  const obstacles = findIgnoredFiles(target, context.read).map(({ message }) => message);
  return ok({ action: "install", target, edits: all, notes, obstacles });
}

const notOurs = "was not written by SHIM. Rename it and try again.";

/**
 * Restores a file that is byte for byte as SHIM wrote it, or deletes it if there was
 * none before; a file changed since loses only SHIM's entries.
 */
export function planUninstall(target: ClientTarget, context: PlanContext): Result<Plan, ClientRefusal> {
  const loaded = load(target, context);
  if (!loaded.ok) return loaded;
  const { files, own } = loaded.value;
  const edits = byFile(entriesOf(target, files, context).entries, "remove").map(([file, changes]) =>
    removeFrom(file, changes, installsOf(file.path, context.backups)),
  );
  for (const { path, before, isOurs, what } of own)
    if (before !== null && isOurs(before))
      edits.push({ path, before, after: null, summary: [{ piece: what, says: `removes the ${what}` }] });
  const found = edits.flatMap((edit) => {
    if (edit?.after !== null) return edit ?? [];
    const folders = installsOf(edit.path, context.backups).flatMap((file) => file.folders);
    return [Object.assign({}, edit, { folders })];
  });
  return ok({ action: "uninstall", target, edits: found, notes: [], obstacles: [] });
}

/** A file of a client that is SHIM's alone. */
interface OwnFile {
  readonly path: string;
  readonly before: string | null;
  readonly what: "hooks" | "slash commands";
  readonly isOurs: (text: string) => boolean;
}

export interface LoadedFiles {
  readonly files: ClientSettings;
  readonly own: readonly OwnFile[];
}

export function load(target: ClientTarget, { read }: Pick<PlanContext, "read">): Result<LoadedFiles, ClientRefusal> {
  const { client, serversFile, settingsFile, commandsFile } = target;
  const { hooks } = formOf(client);
  const problemIn = shapeProblemOf(client);
  const servers = loadSound(read, serversFile, problemIn);
  if (!servers.ok) return servers;
  const alone = { servers: servers.value, settings: null };
  const own: OwnFile[] = [];
  if (commandsFile !== undefined) {
    const text = read(commandsFile);
    if (!text.ok) return text;
    own.push({ path: commandsFile, before: text.value, what: "slash commands", isOurs: isOwnCommands });
  }
  if (settingsFile === null) return ok({ files: alone, own });
  if (hooks?.form === "own") {
    const text = read(settingsFile);
    if (!text.ok) return text;
    own.push({ path: settingsFile, before: text.value, what: "hooks", isOurs: (text) => handlerIn(text) !== null });
    return ok({ files: alone, own });
  }
  const settings = loadSound(read, settingsFile, problemIn);
  if (!settings.ok) return settings;
  return ok({ files: { servers: servers.value, settings: settings.value }, own });
}

/** One client has its servers and its hooks in one file. */
function byFile(entries: readonly Entry[], which: "add" | "remove"): [SettingsFile, PieceChange[]][] {
  const files = new Map(entries.map(({ file }) => [file.path, file]));
  return [...files.values()].map((file) => {
    const own = entries.filter((entry) => entry.file.path === file.path);
    return [file, own.flatMap(({ piece, [which]: change }) => (change === null ? [] : [{ piece, change }]))];
  });
}

function toEdit({ path, before }: SettingsFile, after: string | null, summary: readonly Said[]): FileEdit | null {
  return before === after || (before === null && after === "") ? null : { path, before, after, summary };
}

function editOwn({ path, before, what }: OwnFile, target: ClientTarget, { launch }: PlanContext): FileEdit | null {
  const { hooks, events } = formOf(target.client);
  const commandOf = (event: string): string => hookCommandLine(launch, target.platform, event, target.client);
  const ownHooks = what === "hooks" && hooks?.form === "own" ? hooks : null;
  const after = ownHooks
    ? ownHooks.text({ ...launch, commandOf })
    : commandsText(path, launch, (target.platform === "win32" && hooks?.windowsShell) || "sh");
  if (before === after) return null;
  const added = ownHooks ? `adds hooks for ${events.join(", ")}` : "adds SHIM's slash commands";
  return { path, before, after, summary: [{ piece: what, says: before === null ? added : `corrects SHIM's ${what}` }] };
}

function removeFrom(
  file: SettingsFile,
  changes: readonly PieceChange[],
  installs: readonly BackupFile[],
): FileEdit | null {
  const { path, before } = file;
  if (before === null) return null;
  const [first] = installs;
  const { text, summary } = changeText(path, before, changes, first?.before ?? "");
  const exact = originalText(before, installs);
  const isBlank = /^(?:\{\s*\})?$/.test(text.trim());
  const isMade = exact === null || (exact === undefined && first?.before === null && text !== before && isBlank);
  if (isMade) return toEdit(file, null, [...summary, { piece: null, says: "deletes the file, which SHIM made" }]);
  // Between two installs the file may have been edited by hand.
  const isClean = typeof exact === "string" && changeText(path, exact, changes).text === exact;
  return isClean
    ? toEdit(file, exact, [...summary, { piece: null, says: "the file is restored exactly" }])
    : toEdit(file, text, summary);
}

/** Rolls back each install whose result matches, newest first; undefined when none matches. */
function originalText(current: string, installs: readonly BackupFile[]): string | null | undefined {
  let text: string | null = current;
  for (const file of installs.toReversed()) if (text !== null && file.after === hashOf(text)) text = file.before;
  return text === current ? undefined : text;
}

/** The client's files that its own parser refuses, so that all of the file is ignored. */
export function findIgnoredFiles(target: ClientTarget, read: ReadText): ClientRefusal[] {
  const files = new Set([target.serversFile, target.settingsFile ?? target.serversFile]);
  return [...files]
    .filter((path) => path.endsWith(".json"))
    .flatMap((path) => {
      const text = read(path);
      const unread = text.ok ? findUnread(text.value ?? "", formOf(target.client).reads ?? []) : null;
      const message = `has ${unread}, which ${target.label} does not read: it ignores the whole file until you remove them.`;
      return unread === null ? [] : [refusal("config_ignored", path, message)];
    });
}

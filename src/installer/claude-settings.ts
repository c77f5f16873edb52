import { hasNoTodoTools } from "../contract/hook-tool.ts";
import { isRecord, type JsonObject } from "../shared/json-fields.ts";
import { installsOf } from "./backups.ts";
import { isOurStatusLine, statusLineCommand } from "./entries.ts";
import { keptEntry, type Change, type Part, type PlanContext, type SettingsFile } from "./file-edits.ts";
import { json } from "./json-text.ts";
import { objectAt, objectIn, valueAt } from "./settings.ts";

/** Claude Code's settings which SHIM sets beside the hooks. */

/** Longest command that config.json's `statusLine` accepts. */
const maxStatusLineChars = 2_000;

type StatusLine = { readonly kind: "none" | "ours" | "unknown" } | { readonly kind: "other"; readonly command: string };

function statusLineIn({ statusLine }: JsonObject): StatusLine {
  if (statusLine === undefined) return { kind: "none" };
  if (isOurStatusLine(statusLine)) return { kind: "ours" };
  if (!isRecord(statusLine) || statusLine["type"] !== "command") return { kind: "unknown" };
  const { command } = statusLine;
  return typeof command === "string" ? { kind: "other", command } : { kind: "unknown" };
}

/** [IN6] SHIM's status line, and the user's own in SHIM's config.json. */
export function statusLinePart(
  settings: SettingsFile,
  config: SettingsFile,
  platform: NodeJS.Platform,
  context: PlanContext,
): Part {
  const line = statusLineIn(settings.root);
  const command = statusLineCommand(context.launch, platform);
  const problem = command === null ? unsafePath : findLineProblem(line);
  const own = problem === null && line.kind === "other" ? line.command : null;
  const before = lineBefore(settings, config, context);
  const added: Change = {
    says:
      own === null
        ? `${verbs[line.kind]} SHIM's status line`
        : `sets SHIM's status line, which runs yours first: ${own}`,
    apply(root) {
      root["statusLine"] ??= { type: "command" };
      objectIn(root, "statusLine")["command"] = command;
    },
  };
  const removed: Change = {
    says: before === null ? "removes SHIM's status line" : `restores your status line: ${before}`,
    apply(root) {
      if (statusLineIn(root).kind !== "ours") return;
      if (before === null) delete root["statusLine"];
      else objectIn(root, "statusLine")["command"] = before;
    },
  };
  const kept = own === null ? null : { value: own, says: "keeps your own status line" };
  const entries = [
    { file: settings, add: problem === null ? added : null, remove: removed },
    keptEntry(config, "statusLine", kept, (value) => before !== null && value === before),
  ];
  const { statusLine: old } = config.root;
  const isReplaced = own !== null && typeof old === "string" && old !== own;
  const notes = isReplaced ? [`SHIM's config.json held another status line, "${old}"; the newer one replaces it.`] : [];
  return { entries, notes: problem === null ? notes : [`The status line is left unchanged: ${problem}.`] };
}

const unsafePath = "a path of SHIM holds quotes that the shells of Windows read differently";
const verbs = { ours: "corrects", none: "sets", other: "sets", unknown: "sets" } as const;

function findLineProblem(line: StatusLine): string | null {
  if (line.kind === "unknown") return 'it is not of type "command"';
  const isTooLong = line.kind === "other" && line.command.length > maxStatusLineChars;
  return isTooLong ? `it is longer than ${maxStatusLineChars} characters` : null;
}

/**
 * Finds the status line before SHIM's, or one put into SHIM's config.json since. A command that was
 * there before SHIM, without a status line, does not count.
 */
function lineBefore(settings: SettingsFile, config: SettingsFile, { backups }: PlanContext): string | null {
  const [inSettings, inConfig] = [settings, config].map(({ path }) => installsOf(path, backups));
  const isChained = inConfig?.length !== 0 || inSettings?.length === 0;
  const { statusLine: kept } = config.root;
  if (isChained && typeof kept === "string" && statusLineIn(settings.root).kind === "ours") return kept;
  const line = statusLineIn(json.read(inSettings?.[0]?.before ?? ""));
  return line.kind === "other" ? line.command : null;
}

/** Restores the to-do tools, which Claude Code 2.1.233 and later omit for the newest models. */
const todoTools = "CLAUDE_CODE_ENABLE_TODO_TOOLS";

export function isTodoToolsSet(settings: JsonObject): boolean {
  return valueAt(settings, ["env", todoTools]) !== undefined;
}

/** [IN22] SHIM does not need the to-do tools, so a person decides. */
export function todoToolsPart(
  settings: SettingsFile,
  config: SettingsFile,
  { claudeVersion, wantsTodoTools = false }: PlanContext,
): Part {
  const isSet = isTodoToolsSet(settings.root);
  const isOurs = config.root["todoTools"] === true;
  const isAdded = wantsTodoTools && !isSet;
  const added: Change = {
    says: "switches Claude Code's to-do tools on",
    apply: (root) => void (objectIn(root, "env")[todoTools] = "1"),
  };
  const removed: Change = {
    says: "switches Claude Code's to-do tools off",
    apply(root) {
      if (isOurs && objectAt(root, ["env"])[todoTools] === "1") delete objectIn(root, "env")[todoTools];
    },
  };
  const kept = isAdded ? { value: true, says: "remembers that the to-do tools were switched on" } : null;
  const entries = [
    { file: settings, add: isAdded ? added : null, remove: removed },
    keptEntry(config, "todoTools", kept, (value) => value === true),
  ];
  const note =
    "With the newest models this Claude Code has no to-do tools. SHIM does without them; `shim init --todo-tools` switches them on.";
  const isMissing = hasNoTodoTools(claudeVersion) && !isSet && !wantsTodoTools;
  return { entries, notes: isMissing ? [note] : [] };
}

import { hasNoTodoTools } from "../contract/hook-tool.ts";
import { isRecord, type JsonObject } from "../shared/json-fields.ts";
import { installsOf } from "./backups.ts";
import { isOurStatusLine, statusLineCommand } from "./entries.ts";
import type { Change, Part, PlanContext, SettingsFile } from "./file-edits.ts";
import { json } from "./json-text.ts";
import { objectAt, objectIn, valueAt } from "./settings.ts";

/** Claude Code's settings which SHIM sets beside the hooks. */

/** Longest command that config.json's `statusLine` accepts. */
const maxStatusLineChars = 2_000;

type StatusLine = { readonly kind: "none" | "ours" | "unknown" } | { readonly kind: "other"; readonly command: string };

export function statusLineIn({ statusLine }: JsonObject): StatusLine {
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
  const own = line.kind === "other" ? line.command : null;
  const { statusLine: kept } = config.root;
  const replaced = problem === null && own !== null && typeof kept === "string" && kept !== own ? kept : null;
  const before = lineBefore(settings, config, context);
  const entries = [
    {
      file: settings,
      add: problem === null ? setLine(line, command) : null,
      remove: restoreLine(before),
    },
    {
      file: config,
      add: problem === null && own !== null ? keepLine(own) : null,
      remove: forgetLine(before),
    },
  ];
  const notes = [
    ...(problem === null ? [] : [`The status line is left unchanged: ${problem}.`]),
    ...(replaced === null
      ? []
      : [`SHIM's config.json held another status line, "${replaced}"; the newer one replaces it.`]),
  ];
  return { entries, notes };
}

const unsafePath = "a path of SHIM holds quotes that the shells of Windows read differently";

function findLineProblem(line: StatusLine): string | null {
  if (line.kind === "unknown") return 'it is not of type "command"';
  const isTooLong = line.kind === "other" && line.command.length > maxStatusLineChars;
  return isTooLong ? `it is longer than ${maxStatusLineChars} characters` : null;
}

function setLine(line: StatusLine, command: string | null): Change {
  const verb = line.kind === "ours" ? "corrects" : "sets";
  const says = line.kind === "other" ? `sets SHIM's status line, which runs yours first: ${line.command}` : null;
  return {
    says: says ?? `${verb} SHIM's status line`,
    apply(root) {
      root["statusLine"] ??= { type: "command" };
      objectIn(root, "statusLine")["command"] = command;
    },
  };
}

function keepLine(own: string): Change {
  return { says: "keeps your own status line", apply: (root) => void (root["statusLine"] = own) };
}

function restoreLine(before: string | null): Change {
  return {
    says: before === null ? "removes SHIM's status line" : `restores your status line: ${before}`,
    apply(root) {
      if (statusLineIn(root).kind !== "ours") return;
      if (before === null) delete root["statusLine"];
      else objectIn(root, "statusLine")["command"] = before;
    },
  };
}

function forgetLine(before: string | null): Change {
  return {
    says: "restores your own status line",
    apply(root) {
      if (before !== null && root["statusLine"] === before) delete root["statusLine"];
    },
  };
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
  const entries = [
    {
      file: settings,
      add: isAdded ? enableTodoTools : null,
      remove: {
        says: "switches Claude Code's to-do tools off",
        apply(root) {
          if (isOurs && objectAt(root, ["env"])[todoTools] === "1") delete objectIn(root, "env")[todoTools];
        },
      } satisfies Change,
    },
    { file: config, add: isAdded ? rememberTodoTools : null, remove: forgetTodoTools },
  ];
  const isMissing = hasNoTodoTools(claudeVersion) && !isSet && !wantsTodoTools;
  return { entries, notes: isMissing ? [todoNote] : [] };
}

const todoNote =
  "With the newest models this Claude Code has no to-do tools. SHIM does without them; `shim init --todo-tools` switches them on.";

const enableTodoTools: Change = {
  says: "switches Claude Code's to-do tools on",
  apply: (root) => void (objectIn(root, "env")[todoTools] = "1"),
};

const rememberTodoTools: Change = {
  says: "remembers that the to-do tools were switched on",
  apply: (root) => void (root["todoTools"] = true),
};

const forgetTodoTools: Change = {
  says: "forgets the to-do tools",
  apply(root) {
    if (root["todoTools"] === true) delete root["todoTools"];
  },
};

// The page configuration.md of the reference, from the schemas of the settings; what each one means is written here.
import * as z from "zod";
import { effectKindNames } from "../../src/contract/effects.ts";
import { configSchema, defaults } from "../../src/contract/config.ts";
import { defaultSettings, Settings } from "../../src/contract/workspaces.ts";

interface Schema {
  readonly properties?: Record<string, Schema>;
  readonly enum?: string[];
  readonly minimum?: number;
  readonly maximum?: number;
}

/** What each key of config.json means; a key that is missing or too many fails the test. */
const configMeanings: Record<string, string> = {
  recovery:
    "what the start of a chat does with a session that died: only ask, hand over the brief, or instruct the chat to continue at once",
  offerMaxAgeMs: "older incomplete sessions are listed, not offered",
  risk: "thresholds of the [risk](../guide/signals.md)",
  "checkpoint.everyToolCalls": "a checkpoint is due after this number of tool calls",
  "checkpoint.everyMs": "a checkpoint is due after this time, while something happens",
  "checkpoint.beforeTools": "tool names, `*` as wildcard; a checkpoint with files is taken before they run",
  "checkpoint.beforeCommands":
    "shell commands before which a checkpoint with files is taken: [the form](#commands-that-are-saved-before)",
  "checkpoint.maxBytes": "the largest state of one checkpoint, before compression",
  "effects.guard": "asks before a recovered chat repeats what [cannot be undone](../guide/when-it-breaks.md)",
  "effects.commands": "more such commands: [the form](#commands-that-cannot-be-undone)",
  "brief.prompts": "the newest prompts that a brief may quote, besides the first",
  "snapshots.isEnabled": "whether the files of a project are kept with its checkpoints",
  "snapshots.maxFileBytes": "larger files are left out",
  "snapshots.maxTotalBytes": "the largest snapshot",
  "snapshots.timeoutMs": "how long a snapshot may take",
  "retention.maxAgeMs": "how long [data](../guide/your-data.md) is kept",
  "retention.checkpointsPerSession": "the newest checkpoints of a session that are kept",
  "retention.maxBytes": "above it the oldest checkpoints are deleted",
  "retention.backups": "backups of the store that are kept",
  "team.isEnabled": "false: the chat registers nowhere, and has the six tools of a chat that works alone",
  "team.strictFiles": "also refuses the edit of a file that is reserved in another checkout; else that is a warning",
  "team.conflicts":
    "warns chats of [conflicts](../guide/team.md#conflicts) between their work trees before they commit",
  "team.maxContinuationsPerHour":
    "how often a chat [continues by itself](../guide/team.md) at the end of a turn, because of a notification",
  "team.capabilities": "what chats of this machine can do; tasks may require it",
  "team.capacity": "how many tasks a chat can have at a time",
  "sync.files":
    "uncommitted files go to the workspace with the sessions, sealed: [its files](../guide/two-machines.md#continue-on-the-laptop)",
  "sync.maxFilesBytes": "a larger bundle, packed, is not sent",
  "notify.desktop": "notify-send on Linux, osascript on macOS",
  "notify.webhook":
    "an https address, or http on this machine: gets a POST of `{event, at, session, title, text}`; the title of the chat (the first line of its first prompt) is all that it gets of the chat",
  "notify.events": "which events notify you",
  runs: "projects in which [a phone or the page may start clients](../guide/phone.md), each with its end (`until`) and the options of a client (`args`)",
  atLimit: "what goes on by itself [at a usage limit](../guide/when-it-breaks.md), by folder",
  "usage.prices": "dollars for a million tokens by model: [signals](../guide/signals.md)",
  "usage.pricesAsOf": "the day of the prices, such as `2026-11-20`",
  kaizen:
    "the [daily review](../guide/kaizen.md) of the records: `off`, `report` (a weekly report), or `apply` (also trials of settings within their bounds)",
  "experiments.provider": "what assigns the sessions of a trial: SHIM itself, or [a service](../guide/kaizen.md)",
  "answers.isEnabled":
    "a permission request of a chat can be answered from elsewhere than its terminal, and its user can write to it",
  "answers.holdDialogSeconds":
    "how long such a request is held where the client shows its dialog only afterwards (Codex); 0: it is not held",
  "experiments.waitMs": "how long the start of a session waits for the service, beside the start of its process",
  "experiments.statsigRules": "Statsig: the file of its rules, absolute or in SHIM's folder; nothing is sent then",
  "experiments.statsigKeyEnv": "Statsig, live: the name of the environment variable that has the key",
  "analysis.trusted":
    "folders whose own code `shim code analyze` may run, with all folders below them: [trust](../guide/code.md#trust)",
};

const settingMeanings = {
  maxConcurrentChats: "live chats",
  machineChatShare: "the share of them that one machine may have while another machine has a token of scope work",
  maxOfflineChatsPerMachine: "offline chats of one machine that are kept, for a day each",
  chatTtlMs: "a chat that was not heard of for this time is offline",
  workerGraceMs: "after a closed socket, before a worker counts as gone",
  interactiveGraceMs: "the same for a chat with a user",
  lostSocketGraceMs: "after all sockets were lost without a close: a deploy, a crash of the host",
  maxLeasesPerChat: "leases that one chat holds and waits for",
  maxWaitersPerChat: "requests for a lease that wait, of one chat",
  maxWaitersPerResource: "the same for one resource",
  maxWaiters: "the same in all",
  maxKeys: "state keys",
  maxStateChars: "characters of their values",
  maxMessages: "messages that are kept; the oldest are deleted",
  maxMessageChars: "characters of their bodies",
  keepChangesMs: "how long changes are kept for watches that resume",
  maxChangeChars: "characters of keys and values in those changes",
  maxRequestIdsPerMachine: "request ids of one machine that are kept, for a day each",
  maxRequestCharsPerMachine: "characters of their results",
  maxLostChats: "a task that has cost this number of chats is dead",
  maxStalls: "a task that has stalled this number of times is dead",
  startDeadlineMs: "an assigned task that has not started by then is requeued",
  maxTasks: "above it the oldest ended tasks are deleted early; twice as many are refused",
  maxLanes: "partition keys (a task type with its capabilities) with a task in the queue",
  keepTasksMs: "how long done and cancelled tasks are kept",
  keepDeadTasksMs: "how long dead tasks are kept",
  maxDedupeKeys: "dedupe keys of tasks that are kept",
  keepDedupeMs: "how long a `dedupeKey` is kept after the submit",
  balancingIntervalMs: "how often tasks that have not started are reassigned to chats with less load",
  keepSyncMs: "how long synced sessions and checkpoints are kept after their last change",
  maxSyncChars: "characters of synced sessions and checkpoints",
  maxSyncRecords: "synced sessions and parts of files",
  maxSyncSessionsPerMachine: "synced sessions of one machine",
  maxStorageBytes: "from four fifths of it on, what adds is refused",
  maxBoxes: "hand-overs and phones of the workspace",
  maxBoxesPerToken: "hand-overs and phones of one token",
  maxBoxChars: "characters of all hand-overs and pairings that the coordinator holds",
  maxBoxCharsPerToken: "the same of one token",
  maxSocketsPerToken: "open sockets of one token",
  maxSockets: "open sockets of the workspace",
  maxOperationsPerSecond: "operations of one token, sustained; three seconds' worth at once",
  budgets: "limits for a task, a chat and a day (`shim team budget`): wallMs, tokens, costMicros",
} satisfies Record<keyof typeof Settings.shape, string>;

/** Keys with dots, down to the values; a whole section where it has one meaning. */
function flat(value: object, prefix = ""): [key: string, value: unknown][] {
  return Object.entries(value).flatMap(([name, inner]: [string, unknown]) => {
    const key = `${prefix}${name}`;
    const isSection = typeof inner === "object" && inner !== null && !Array.isArray(inner);
    return isSection && Object.keys(inner).length > 0 && !(key in configMeanings)
      ? flat(inner, `${key}.`)
      : [[key, inner]];
  });
}

function range(schema: Schema | undefined): string {
  if (schema?.enum) return schema.enum.map((value) => `\`${value}\``).join(", ");
  const { minimum, maximum } = schema ?? {};
  return minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER
    ? `${minimum} to ${maximum}`
    : "";
}

function shown(key: string, value: unknown): string {
  if (key === "checkpoint.beforeCommands") return "`shim config get checkpoint.beforeCommands`";
  return typeof value === "object" && value !== null && !Array.isArray(value) ? "" : `\`${JSON.stringify(value)}\``;
}

function row(key: string, value: unknown, schema: Schema | undefined, meaning: string | undefined): string {
  if (meaning === undefined) throw new Error(`${key} has no meaning in scripts/reference/configuration.ts`);
  return `| \`${key}\` | ${shown(key, value)} | ${range(schema)} | ${meaning} |`;
}

function configTable(): string {
  const root = z.toJSONSchema(configSchema(), { io: "input", unrepresentable: "any" }) as Schema;
  const keys = flat(defaults);
  const stale = Object.keys(configMeanings).filter((key) => !keys.some(([existing]) => existing === key));
  if (stale.length > 0) throw new Error(`no keys of config.json: ${stale.join(", ")}`);
  const rows = keys.map(([key, value]) => {
    const schema = key.split(".").reduce<Schema | undefined>((at, name) => at?.properties?.[name], root);
    return row(key, value, schema, configMeanings[key]);
  });
  return ["| key | default | values | meaning |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

function settingsTable(): string {
  const { properties = {} } = z.toJSONSchema(Settings) as Schema;
  const rows = Object.entries(settingMeanings).map(([key, meaning]) =>
    row(key, defaultSettings[key as keyof Settings], properties[key], meaning),
  );
  return ["| setting | default | values | meaning |", "| --- | --- | --- | --- |", ...rows].join("\n");
}

export function configDocs(): string {
  return `# Configuration

Made from the schemas of the settings by \`npm run docs\`. Times (\`...Ms\`) are milliseconds, sizes bytes or characters, shares 0 to 1.

## \`config.json\`: this machine

\`shim config path\` shows the file, \`shim config set <key> <value>\` changes it. What you leave out keeps its default; an unknown key is refused. Chats and supervisors that run already keep their settings.

${configTable()}

### Commands that are saved before

Each entry of \`checkpoint.beforeCommands\` is words that stand in one command in this order, with any others between them and in any case; \`|\` separates alternatives of a word, \`*\` is a wildcard. A command counts wherever it stands in the text, also where it is only mentioned or tried (\`--dry-run\`): that costs one snapshot. Setting the key replaces the list; \`[]\` switches it off.

### Commands that cannot be undone

SHIM has a table of them. Each entry of \`effects.commands\` adds one: \`{"words": "make ship|release", "kind": "deployment", "unless": "test", "check": "curl https://app.example/version"}\`. \`words\`: the program, then its words in their order, with \`|\` and \`*\` as above; options may stand between them. \`kind\`: ${effectKindNames.map((kind) => `\`${kind}\``).join(", ")}. \`unless\`: words with which it does nothing (\`--dry-run\` and \`--help\` always). \`check\`: a command by which you find out; \`{0}\` is the program, \`{1}\` the word behind \`words\`.

## Settings of a workspace

\`shim team settings\` shows them, \`shim team settings set <setting> <value>\` changes them for every chat of the workspace; on an edge that needs the admin token. What happens beyond a limit: [limits](../guide/limits.md).

${settingsTable()}

## Environment

| variable | meaning |
| --- | --- |
| \`SHIM_HOME\` | the folder of everything that SHIM stores: the absolute path of one of its own |
| \`SHIM_EDGE_URL\`, \`SHIM_WORKSPACE\`, \`SHIM_TOKEN\` | together name the [workspace](../guide/two-machines.md#without-shim-workspace-join), before \`edge.json\` |
| \`SHIM_MACHINE\`, \`SHIM_WORKSPACE_KEY\` | with them: the machine's name, the workspace key |
| \`SHIM_ADMIN_SECRET\`, \`SHIM_SIGNING_SECRET\`, \`SHIM_PREVIOUS_SIGNING_SECRET\` | the [secrets](../guide/coordinator.md#tokens-and-secrets) of a deployment |
| \`SHIM_DEV_PORT\` | the port of \`npm run dev\`; 8787 |
| \`NO_COLOR\` | no colors |
| \`SHIM_DEBUG=1\` | adds the stack to an error |

Programs that SHIM starts get: \`SHIM_TASK\` and \`SHIM_CLAIM\` (\`shim worker\`).
`;
}

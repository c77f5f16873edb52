import type { MachineOperation } from "../operation.ts";
import type { MachineOperationName } from "./operations.ts";

type FirstWord<Name extends string> = Name extends `${infer Word}.${string}` ? Word : never;

/**
 * By the first word of an operation's name, such as `sessions`: what the operations of that word
 * have in common. By a whole name: what this one has instead.
 */
export type ByFirstWord<T> = Readonly<Record<FirstWord<MachineOperationName>, T>> &
  Readonly<Partial<Record<MachineOperationName, T>>>;

export function ofName<T>(table: ByFirstWord<T>, name: string): T | undefined {
  const key = Object.hasOwn(table, name) ? name : name.slice(0, name.indexOf("."));
  return Object.hasOwn(table, key) ? table[key as keyof ByFirstWord<T>] : undefined;
}

type Group = Readonly<Record<string, MachineOperation>>;

const files = async (): Promise<Group> => (await import("./files.ts")).fileOperations;
const installation = async (): Promise<Group> => (await import("./installation.ts")).installationOperations;
const learning = async (): Promise<Group> => (await import("./learning.ts")).learningOperations;
const overview = async (): Promise<Group> => (await import("./overview.ts")).overviewOperations;
const recovery = async (): Promise<Group> => (await import("./recovery.ts")).recoveryOperations;
const sessions = async (): Promise<Group> => (await import("./sessions.ts")).sessionOperations;
const usage = async (): Promise<Group> => (await import("./usage.ts")).usageOperations;

const groups: ByFirstWord<() => Promise<Group>> = {
  checkpoints: sessions,
  checks: installation,
  clients: overview,
  config: installation,
  conversation: async () => (await import("./conversation.ts")).conversationOperations,
  effects: async () => (await import("./effects.ts")).effectOperations,
  experiments: learning,
  files,
  forks: async () => (await import("./forks.ts")).forkOperations,
  handover: async () => (await import("./handover.ts")).handoverOperations,
  host: installation,
  metrics: usage,
  notices: overview,
  overview,
  page: async () => (await import("./page.ts")).pageOperations,
  pauses: overview,
  phones: async () => (await import("./phones.ts")).phoneOperations,
  prompts: learning,
  recovery,
  report: learning,
  requests: async () => (await import("./requests.ts")).requestOperations,
  review: learning,
  runs: async () => (await import("./runs.ts")).runOperations,
  sessions,
  statusline: overview,
  stores: async () => (await import("./stores.ts")).storesOperations,
  team: async () => (await import("./team.ts")).teamOperations,
  "team.overview": overview,
  tokens: usage,
  transcripts: recovery,
  undo: files,
  usage,
  workspace: async () => (await import("./workspaces.ts")).workspaceOperations,
};

/**
 * An operation of the machine by its name, null where there is none. Only its group is loaded: the
 * schemas of all take longer than most operations.
 */
export async function findOperation(name: string): Promise<MachineOperation | null> {
  const group = (await ofName(groups, name)?.()) ?? {};
  return Object.hasOwn(group, name) ? (group[name] ?? null) : null;
}

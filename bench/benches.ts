/** What `npm run bench -- <name>` measures. A bench gives figures of one run; bench/figure-table.ts says what is read from them. */
export const benches = {
  start: async () => (await import("./mcp-server.ts")).start(),
  "tool-call": async () => (await import("./mcp-server.ts")).toolCall(),
  "tool-call-parts": async (args: readonly string[]) => (await import("./tool-call-parts.ts")).toolCallParts(args),
  save: async () => (await import("./save.ts")).save(),
  brief: async () => (await import("./brief.ts")).brief(),
  chats: async () => (await import("./chats.ts")).chats(),
  restore: async (args: readonly string[]) => (await import("./restore/restore.ts")).restore(args),
  real: async (args: readonly string[]) => (await import("./real/real.ts")).real(args),
  damaged: async (args: readonly string[]) => (await import("./damaged.ts")).damaged(args),
  secrets: async () => (await import("./recognition.ts")).secrets(),
  effects: async () => (await import("./recognition.ts")).effects(),
  conflicts: async (args: readonly string[]) => (await import("./conflicts/conflicts.ts")).conflicts(args),
  phone: async () => (await import("./page.ts")).phone(),
  chat: async () => (await import("./page.ts")).chat(),
  page: async () => (await import("./page.ts")).page(),
  clients: async () => (await import("./edge/edge.ts")).clients(),
  rows: async () => (await import("./tasks/cost.ts")).rows(),
  detection: async () => (await import("./edge/edge.ts")).detection(),
  tasks: async () => (await import("./tasks/throughput.ts")).tasks(),
  cost: async () => (await import("./tasks/cost.ts")).cost(),
  capacity: async () => (await import("./capacity/capacity.ts")).capacity(),
  sync: async () => (await import("./sync/sync.ts")).sync(),
  handover: async () => (await import("./handover.ts")).handover(),
  flood: async () => (await import("./flood.ts")).flood(),
  neighbour: async (args: readonly string[]) => (await import("./stress/attack-run.ts")).neighbour(args),
} as const;

export type BenchName = keyof typeof benches;
export type Result<Name extends BenchName> = Awaited<ReturnType<(typeof benches)[Name]>>;

export function isBench(name: string): name is BenchName {
  return Object.hasOwn(benches, name);
}

/** What `npm run bench` measures besides this machine: each has parts or options of its own. */
export const suites = {
  edge: () => import("./edge-main.ts"),
  tasks: () => import("./tasks-main.ts"),
  flat: () => import("./flat-main.ts"),
  fleet: () => import("./fleet-main.ts"),
  capacity: () => import("./capacity-main.ts"),
  page: () => import("./page-main.ts"),
  restore: () => import("./restore-main.ts"),
  hooks: () => import("./hooks-main.ts"),
  story: () => import("./story-main.ts"),
  proof: () => import("./proof-main.ts"),
  effects: () => import("./effects-main.ts"),
  real: () => import("./real-main.ts"),
  conflicts: () => import("./conflicts-main.ts"),
  transcripts: () => import("./transcripts-main.ts"),
} as const;

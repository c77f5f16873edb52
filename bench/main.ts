/** `npm run bench -- edge one`: one suite, or parts of it. `npm run bench`, `npm run bench -- save`: the suite of this machine. */
const suites = {
  edge: () => import("./edge-main.ts"),
  tasks: () => import("./tasks-main.ts"),
  flat: () => import("./flat-main.ts"),
  fleet: () => import("./fleet-main.ts"),
  page: () => import("./page-main.ts"),
  restore: () => import("./restore-main.ts"),
  hooks: () => import("./hooks-main.ts"),
  story: () => import("./story-main.ts"),
  proof: () => import("./proof-main.ts"),
  effects: () => import("./effects-main.ts"),
  real: () => import("./real-main.ts"),
  conflicts: () => import("./conflicts-main.ts"),
} as const;
const [name = ""] = process.argv.slice(2);
const suite = Object.entries(suites).find(([one]) => one === name)?.[1];
// Each suite reads its own arguments.
if (suite) process.argv.splice(2, 1);
await(suite ? suite() : import("./local-main.ts"));

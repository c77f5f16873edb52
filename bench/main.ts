/** `npm run bench -- edge one`: one suite, or parts of it. `npm run bench`, `npm run bench -- save`: the suite of this machine. */
const suites: Readonly<Record<string, string>> = {
  edge: "./edge-main.ts",
  tasks: "./tasks-main.ts",
  restore: "./restore-main.ts",
};
const [name = ""] = process.argv.slice(2);
const suite = Object.hasOwn(suites, name) ? suites[name] : undefined;
// Each suite reads its own arguments.
if (suite !== undefined) process.argv.splice(2, 1);
await import(suite ?? "./local-main.ts");
export {};

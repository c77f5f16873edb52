"use strict";
// `node --require`: notes each program that is started, with the names of SHIM's variables that it is given, in the file that SHIM_TEST_STARTED names.
const { appendFileSync } = require("node:fs");
const childProcess = require("node:child_process");

const note = (file, env = process.env) => {
  const names = Object.keys(env).filter((name) => name.startsWith("SHIM_") && name !== "SHIM_TEST_STARTED");
  appendFileSync(process.env.SHIM_TEST_STARTED, `${JSON.stringify({ file, names })}\n`);
};

// All of spawn, exec, execFile and fork.
const { spawn } = childProcess.ChildProcess.prototype;
childProcess.ChildProcess.prototype.spawn = function (options) {
  note(options.file, Object.fromEntries((options.envPairs ?? []).map((pair) => pair.split("="))));
  return spawn.call(this, options);
};
for (const name of ["spawnSync", "execFileSync", "execSync"]) {
  const original = childProcess[name];
  childProcess[name] = (file, ...rest) => {
    note(file, rest.find((one) => typeof one === "object" && !Array.isArray(one))?.env);
    return original(file, ...rest);
  };
}

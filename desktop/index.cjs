"use strict";
// What Claude Desktop starts, with a Node of its own choice. Only what an old Node can parse stands here, and nothing is started from
// here: process.execPath is no Node there but a helper of the app.

const [major, minor] = process.versions.node.split(".").map(Number);

if (major < 22 || (major === 22 && minor < 16)) {
  process.stderr.write(
    `SHIM is not saving this chat: it needs Node 22.16 or newer, and Claude Desktop has started it with ${process.version}. Update Claude Desktop, or Node.\n`,
  );
  process.exitCode = 78;
} else {
  // A field of the settings that was left empty may come as its own name.
  for (const [name, value] of Object.entries(process.env)) {
    if (/^\$\{user_config\.\w+\}$/.test(value)) delete process.env[name];
  }
  // Node 22 warns of its own SQLite, and Claude Desktop would show that as an error of this server.
  const others = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (warning.name === "ExperimentalWarning" && /SQLite/.test(warning.message)) return;
    for (const listener of others) listener(warning);
  });
  module.exports = require("./mcp.cjs");
}

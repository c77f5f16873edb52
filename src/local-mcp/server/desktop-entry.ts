/**
 * Entry of the Claude Desktop bundle, whose Node loads no native module: [DX2] only node:sqlite
 * works.
 */
import { openNodeSqlite } from "../../store/driver-node-sqlite.ts";
import { serveSystem } from "./serve-system.ts";
import { messageOf } from "../../shared/error.ts";

try {
  serveSystem({ open: openNodeSqlite, fallbackReason: null }, true);
} catch (error) {
  process.stderr.write(`shim: ${messageOf(error)}\n`);
  process.exitCode = 1;
}

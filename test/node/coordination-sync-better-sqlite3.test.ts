import { openBetterSqlite3 } from "../../src/local-mcp/store/driver-better-sqlite3.ts";
import { syncSuites } from "../rules/suites.ts";
import { LocalHost } from "../support/local-host.ts";

syncSuites(() => Promise.resolve(new LocalHost(openBetterSqlite3)));

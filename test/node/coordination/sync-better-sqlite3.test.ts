import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { syncSuites } from "../../rules/suites.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

syncSuites(() => Promise.resolve(new LocalHost(openBetterSqlite3)));

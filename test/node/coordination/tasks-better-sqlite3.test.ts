import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { taskSuites } from "../../rules/suites.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

taskSuites(() => Promise.resolve(new LocalHost(openBetterSqlite3)));

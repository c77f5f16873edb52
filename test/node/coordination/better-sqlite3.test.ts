import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { chatSuites } from "../../rules/suites.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

chatSuites(() => Promise.resolve(new LocalHost(openBetterSqlite3)));

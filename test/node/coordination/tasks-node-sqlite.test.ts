import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { taskSuites } from "../../rules/suites.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

taskSuites(() => Promise.resolve(new LocalHost(openNodeSqlite)));

import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { syncSuites } from "../../rules/suites.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

syncSuites(() => Promise.resolve(new LocalHost(openNodeSqlite)));

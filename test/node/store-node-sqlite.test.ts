import { openNodeSqlite } from "../../src/local-mcp/store/driver-node-sqlite.ts";
import { storeRules } from "../rules/store.ts";

storeRules(openNodeSqlite);

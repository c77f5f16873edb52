/** Reads a request on stdin, answers on descriptor 3: no output of a package is read. */
import { readFileSync, writeSync } from "node:fs";
import { messageOf } from "../../shared/error.ts";
import { answerRequest } from "./statsig.ts";
import type { ServiceAnswer, ServiceRequest } from "./assignment-service.ts";

function end(answer: ServiceAnswer): never {
  writeSync(3, JSON.stringify(answer));
  // Connections and timers of a service would keep the process.
  process.exit(0);
}

process.on("uncaughtException", (error) => end({ arms: [], problems: [messageOf(error)] }));
const request = JSON.parse(readFileSync(0, "utf8")) as ServiceRequest;
void answerRequest(request, process.env).then(end);

/** Tasks for workerpool. */
import { worker } from "workerpool";
import * as functions from "./functions.ts";
import { pinWorker } from "./pin.ts";

pinWorker();
worker({ ...functions });

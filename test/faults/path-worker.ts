import { parentPort, workerData } from 'node:worker_threads';
import { tellStories } from './path-seeds.ts';

/** One thread of the stories of the whole path: tells what happened in them, or ends with the first that fails. */
parentPort?.postMessage(await tellStories(workerData));

export type { GuardConfig } from './config.ts';
export {
  bearerCheck,
  cannotListen,
  HttpServer,
  isOpenToAll,
  type ListenOptions,
  type Reply,
  type Route,
  type ServerTls,
} from './server.ts';

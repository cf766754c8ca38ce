import { readFileSync } from 'node:fs';
import type { Server } from 'node:tls';
import { oneLine } from '../finding/one-line.ts';
import type { Log } from './log.ts';

/** Mounted files (PEM): the certificate with what leads to its CA, and the key. */
export interface CertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/**
 * Gives a server the certificate that is in the files now, before each handshake: reading two small files costs far less than that.
 * Until there is one, and while there is a bad one, handshakes fail or use the one before.
 */
export function useCertificate(server: Server, { certificateFile, keyFile }: CertificateFiles, log: Log): void {
  let known = '';
  let fault: string | undefined;
  function update(): void {
    try {
      const [cert, key] = [readFileSync(certificateFile, 'utf8'), readFileSync(keyFile, 'utf8')];
      if (cert + key !== known) {
        server.setSecureContext({ cert, key });
        known = cert + key;
        log.info({ operation: 'https' }, 'https is served with the certificate that is there now');
      }
      fault = undefined;
    } catch (error) {
      const reason = oneLine(error instanceof Error ? error.message : String(error), 256);
      if (reason === fault) return;
      fault = reason;
      const instead = known === '' ? 'https is not served until there is one' : 'the one before is used';
      log.warn({ operation: 'https', reason }, `there is no valid certificate: ${instead}`);
    }
  }
  update();
  server.prependListener('connection', update);
}

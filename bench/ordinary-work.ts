import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** Something that machines do all day. */
export interface OrdinaryWork {
  readonly name: string;
  /** What it needs that is not on every machine. */
  readonly needs: readonly string[];
  /** @param at a folder of its own, empty */
  run(at: string): Promise<void>;
}

const LONGEST_MILLIS = 120_000;
const run = promisify(execFile);

/** Runs lines of a shell; the first that fails ends them. */
function shell(script: string): OrdinaryWork['run'] {
  return async (at) => {
    const env = { ...process.env, HOME: at, GIT_CONFIG_NOSYSTEM: '1', DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
    await run('/bin/sh', ['-e', '-c', script], { cwd: at, env, timeout: LONGEST_MILLIS, maxBuffer: 1e8 });
  };
}

/** The same with files beside. */
function shellWith(files: Readonly<Record<string, string>>, script: string): OrdinaryWork['run'] {
  return async (at) => {
    for (const [path, text] of Object.entries(files)) {
      const file = join(at, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
    }
    await shell(script)(at);
  };
}

const USER = `shikra${process.pid}`;
const LOG = `/var/log/shikra-quiet-${process.pid}`;
/** Small, and needs nothing but the C library. */
const PACKAGE = 'hello';

export const ORDINARY_WORK: readonly OrdinaryWork[] = [
  {
    name: 'apt: a package of the archive installed, used, removed',
    needs: ['apt-get'],
    run: shell(`
      apt-cache policy ${PACKAGE}; apt-cache search --names-only '^${PACKAGE}'
      dpkg -s ${PACKAGE} >/dev/null 2>&1 && exit 0
      apt-get install -y --no-install-recommends ${PACKAGE}; ${PACKAGE}; dpkg -L ${PACKAGE}; apt-get purge -y ${PACKAGE}; apt-get clean`),
  },
  {
    name: 'dpkg: a package with scripts and a cron job built, installed, upgraded, purged',
    needs: ['dpkg-deb'],
    run: shellWith(
      {
        'package/DEBIAN/control': `Package: ${USER}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: test\n`,
        'package/DEBIAN/conffiles': `/etc/cron.d/${USER}\n/etc/logrotate.d/${USER}\n`,
        'package/DEBIAN/postinst': `#!/bin/sh\nset -e\ntouch /etc/${USER}.made\nchmod 2755 /usr/bin/${USER}\nln -sf ${USER} /usr/bin/${USER}-link\nldconfig\n`,
        'package/DEBIAN/postrm': `#!/bin/sh\nrm -f /etc/${USER}.made /usr/bin/${USER}-link\n`,
        [`package/usr/bin/${USER}`]: '#!/bin/sh\necho hello\n',
        [`package/etc/cron.d/${USER}`]: '# nothing\n',
        [`package/etc/logrotate.d/${USER}`]: '# nothing\n',
      },
      `
      trap 'dpkg --purge ${USER} >/dev/null 2>&1' EXIT
      dpkg-deb --build package one.deb; dpkg -i one.deb; ${USER}-link
      sed -i 's/Version: 1/Version: 2/' package/DEBIAN/control; dpkg-deb --build package two.deb; dpkg -i two.deb; dpkg -V ${USER}`,
    ),
  },
  {
    name: 'gcc and make: a library, a program, their test',
    needs: ['gcc', 'make', 'ar'],
    run: shellWith(
      {
        'sum.c': 'int sum(int a, int b) { return a + b; }\n',
        'main.c': '#include <stdio.h>\nint sum(int, int);\nint main(void) { printf("%d\\n", sum(1, 2)); return 0; }\n',
        Makefile:
          'all: program shared.so\nlibsum.a: sum.o\n\tar rcs $@ $^\nprogram: main.o libsum.a\n\tgcc -g -o $@ $^\nshared.so: sum.c\n\tgcc -shared -fPIC -O2 -o $@ $<\ntest: program\n\ttest "$$(./program)" = 3\nclean:\n\trm -f *.o *.a *.so program\n',
      },
      'make -j2; make test; ldd ./program; strip program; ./program; make clean',
    ),
  },
  {
    name: 'npm and node: a package with a dependency installed, tested, packed',
    needs: ['npm', 'node'],
    run: shellWith(
      {
        'dependency/package.json': '{"name": "dependency", "version": "1.0.0", "main": "index.js"}',
        'dependency/index.js': 'module.exports = () => 3;\n',
        'project/package.json':
          '{"name": "project", "version": "1.0.0", "scripts": {"test": "node --test", "postinstall": "node -e 0"}, "dependencies": {"dependency": "file:../dependency"}}',
        'project/a.test.js':
          "require('node:test')('adds', () => require('node:assert').equal(require('dependency')(), 3));\n",
      },
      'cd project; npm install --offline --no-audit --no-fund; npm test; npm pack; npm ls',
    ),
  },
  {
    name: 'git: commits, branches, a merge, a clone, a push',
    needs: ['git'],
    run: shell(`
      export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
      git init -q -b main one; cd one; echo a > a; git add a; git commit -q -m a; git checkout -q -b side; echo b > b; git add b; git commit -q -m b
      git checkout -q main; git merge -q --no-ff -m merge side; git log --stat; git diff HEAD~1; git stash list; cd ..
      git clone -q --bare one bare.git; git clone -q bare.git two; cd two; echo c >> a; git commit -q -am c; git push -q; git gc -q; git fsck`),
  },
  {
    name: 'jobs of cron: run-parts, scripts, mail that is not sent',
    needs: ['run-parts'],
    run: shellWith(
      {
        'daily/one': '#!/bin/sh\nset -e\ncd /\nfind /tmp -maxdepth 1 -mtime +30 -print > /dev/null\n',
        'daily/two': '#!/bin/sh\ntest -x /usr/bin/nothing || exit 0\n',
        crontab: '17 3 * * * echo nothing\n',
      },
      `run-parts --report daily; /bin/sh -c 'cd / && run-parts --test /etc/cron.daily'; nice sh -c 'df -h > ${'$'}HOME/df; sleep 0.1'; date >> log`,
    ),
  },
  {
    name: 'cron: a job of the machine, for a minute',
    needs: ['cron', 'crontab'],
    run: shell(`
      if crontab -l > /dev/null 2>&1; then exit 0; fi
      trap 'crontab -r' EXIT
      echo '* * * * * date > /dev/null; test -d /tmp && echo done' | crontab -; crontab -l; timeout 61 cron -f || true`),
  },
  {
    name: 'logrotate: a log written, rotated, compressed',
    needs: ['logrotate'],
    run: shellWith(
      {
        'rotate.conf': `${LOG}.log { size 1\n rotate 2\n compress\n delaycompress\n create 640 root root\n postrotate\n true\n endscript\n }\n`,
      },
      `
      trap 'rm -f ${LOG}.log*' EXIT
      chmod 755 . ; for i in 1 2 3 4; do echo line >> ${LOG}.log; logrotate -f -s state rotate.conf; done`,
    ),
  },
  {
    name: 'archives and copies: tar, gzip, xz, cp, find, rsync if there',
    needs: ['tar', 'gzip', 'xz'],
    run: shell(`
      cp -a /usr/share/doc/bash docs; tar -czf docs.tgz docs; mkdir out; tar -xzf docs.tgz -C out; tar -cf - out | xz -1 > out.txz; xz -dc out.txz | tar -tf - > list
      find /usr/share/doc -name 'copyright' -newer /etc/hostname -print0 | head -c 5000 > found; find out -type f -exec sha256sum {} + > sums; sha256sum -c --quiet sums
      if command -v rsync; then rsync -a --delete docs/ mirror/; rsync -a --delete docs/ mirror/; fi
      cp -al docs hard; cp -r --reflink=auto docs soft; du -sh .; diff -r docs out/docs; rm -rf out hard soft`),
  },
  {
    name: 'a person at a terminal: looking around, reading, writing',
    needs: [],
    run: shell(`
      ls -la / /etc /usr/bin > listing; ps aux > processes; top -b -n1 > top || true; df -h; free -m || true; id; uname -a; who || true; uptime; mount > mounts; env | sort > env
      grep -r bash /etc/profile.d /etc/passwd /etc/group || true; sort listing | uniq -c | sort -rn > sorted; awk '{print $1}' sorted | tail -1; sed -i 's/a/b/' sorted
      man -w ls || true; head -5 /proc/cpuinfo; cat /proc/meminfo /proc/loadavg > /dev/null; cat /etc/os-release /etc/hosts /etc/resolv.conf > /dev/null; stat /bin/sh; file /bin/sh || true
      perl -e 'print 1+1, "\\n"' || true; python3 -c 'import json; print(json.dumps({}))' || true; ip addr || true; ss -tln || true`),
  },
  {
    name: 'users: one made, changed, used, removed',
    needs: ['useradd', 'userdel', 'su'],
    run: shell(`
      trap 'userdel ${USER} 2>/dev/null || true' EXIT
      useradd -M ${USER}; usermod -c test ${USER}; chage -l ${USER}; getent passwd ${USER}; su ${USER} -s /bin/sh -c 'id; cd /; ls > /dev/null'; groups ${USER}`),
  },
  {
    name: 'a service without systemd: started in the background, asked, stopped',
    needs: ['start-stop-daemon', 'curl', 'node'],
    run: shellWith(
      {
        'server.js':
          "require('node:http').createServer((q, r) => r.end('hello')).listen(0, '127.0.0.1', function () { require('node:fs').writeFileSync('port', String(this.address().port)); });\n",
      },
      `
      trap 'start-stop-daemon --stop --quiet --oknodo --retry 5 --pidfile ${'$'}PWD/pid' EXIT
      start-stop-daemon --start --background --make-pidfile --pidfile $PWD/pid --chdir $PWD --exec "$(command -v node)" -- server.js
      for i in $(seq 10); do test -s port && break; sleep 0.2; done
      for i in 1 2 3; do curl -fsS "http://127.0.0.1:$(cat port)/"; done`,
    ),
  },
  {
    name: 'a database: made, filled, asked, saved',
    needs: ['sqlite3'],
    run: shell(`
      sqlite3 a.db 'create table t (a); insert into t values (1), (2); select sum(a) from t;'; sqlite3 a.db '.dump' | gzip > a.sql.gz; gzip -dc a.sql.gz | sqlite3 b.db
      sqlite3 b.db 'select count(*) from t;' 'vacuum;'`),
  },
  {
    name: 'docker: started, an image made, containers run, entered, stopped',
    needs: ['docker', 'dockerd', 'containerd', 'runc', 'busybox'],
    run: shell(`
      export DOCKER_HOST=unix://$PWD/socket
      dockerd --data-root "$PWD/data" --exec-root "$PWD/exec" --host "$DOCKER_HOST" --pidfile "$PWD/pid" --bridge none --iptables=false --ip6tables=false > log 2>&1 &
      trap 'kill $(cat pid); wait' EXIT
      for i in $(seq 20); do docker version > /dev/null 2>&1 && break; sleep 0.5; done
      # what an image has and a script must not make without being told, the archive makes: a setuid program, a key for logging in
      mkdir -p image/bin image/tmp image/etc/cron.d image/etc/profile.d image/usr/bin image/root image/var/log
      cp "$(command -v busybox)" image/bin/busybox; for name in sh ls cat sleep; do ln -s busybox image/bin/$name; done
      echo root:x:0:0:root:/root:/bin/sh > image/etc/passwd; echo 'root:*:20000::::::' > image/etc/shadow; echo key > image/root/keys
      echo '# nothing' > image/etc/cron.d/job; echo '# nothing' > image/etc/profile.d/a.sh; echo line > image/var/log/auth.log
      tar -C image --transform 's,root/keys,root/.ssh/authorized_keys,' -cf image.tar .
      cp image/bin/busybox image/usr/bin/su; tar -C image --mode 4755 -rf image.tar ./usr/bin/su; docker import - image < image.tar
      docker run --rm --network none image /bin/ls /; docker run -d --name one --network none image /bin/sleep 600
      docker exec one /bin/sh -c 'ls / > /tmp/listing; cat /tmp/listing'; docker logs one; docker inspect one > inspected; docker stop -t 1 one; docker rm one; docker image rm image`),
  },
  {
    name: 'ssh: keys made, a login to this machine',
    needs: ['ssh', 'ssh-keygen', 'sshd'],
    run: shellWith(
      { 'config/sshd_config': '' },
      `
      chmod 700 . config; mkdir -p /run/sshd; mkdir -m 700 .ssh
      ssh-keygen -q -t ed25519 -N '' -f config/host_key; ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519; cp .ssh/id_ed25519.pub config/keys
      port=$((20000 + $$ % 20000))
      printf '%s\\n' "Port $port" 'ListenAddress 127.0.0.1' "HostKey $PWD/config/host_key" "AuthorizedKeysFile $PWD/config/keys" 'StrictModes no' 'UsePAM no' 'Subsystem sftp internal-sftp' "PidFile $PWD/pid" > config/sshd_config
      sshd=$(command -v sshd); trap 'kill $(cat pid)' EXIT; "$sshd" -f "$PWD/config/sshd_config" -E "$PWD/config/log"; sleep 0.5
      login="ssh -p $port -o StrictHostKeyChecking=no -o UserKnownHostsFile=$PWD/known -i $PWD/.ssh/id_ed25519 127.0.0.1"
      $login 'id; ls / > /dev/null'; $login 'cat > /dev/null' < config/log; scp -q -P $port -o StrictHostKeyChecking=no -o UserKnownHostsFile=$PWD/known -i .ssh/id_ed25519 127.0.0.1:/etc/hostname copied`,
    ),
  },
];

/** What of its needs is not there. */
export function missing({ needs }: OrdinaryWork): string[] {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
  return needs.filter((program) => !folders.some((folder) => existsSync(join(folder, program))));
}

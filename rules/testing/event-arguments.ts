/** Names of arguments that events have, beside those that the rules of a set name. Whatever else a case writes is taken for a slip. */
export const EVENT_ARGUMENTS: ReadonlySet<string> = new Set(
  `addr arg arg2_int arg2_str attr_flags backlog cmd cmdline cpu data dev dir dirfd domain egid entries euid exe fd fd_in fd_out filename flags
  from_pathname fsname gid group_fd id in_fd ino initrd_fd interval kernel_fd len length level linkdirfd linkpath min_complete mode name new_root
  newdirfd newfd newpath nr_args nr_segments nstype olddirfd oldfd oldpath opcode optlen optname option out_fd parent_fd path pathname persona
  pgid pid pid_fd proto prot put_old quota_fmt request res res_or_fd resource rgid ruid sgid sig size source special status suid target target_fd
  tid to_pathname to_submit tuple type uargs uid val whence`.split(/\s+/),
);

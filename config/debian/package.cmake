# The Debian package: scripts/package builds it with the preset of that name. dpkg's own tools find the libraries that it
# depends on; what the policy wants besides (changelog, copyright, compressed manual pages) is made here.
set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_NAME handoffd)
set(CPACK_PACKAGE_CONTACT "handoffd maintainers <maintainers@handoffd.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "hand voice callers over from Cognigy to Genesys, driven by Kafka")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "When a voice bot gives up on a caller, somebody has to take over within
seconds. handoffd reads handoff requests from Kafka, finds the caller's session
in NICE Cognigy, writes the Genesys Cloud routing variables into it, triggers
the flow that moves the call to an agent queue, and publishes what became of
it.
.
It comes with handoffctl, which submits, follows and verifies requests, and
with handoff-sandbox, a broker in memory and a Cognigy simulator for
development.")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
foreach(script conffiles postinst prerm postrm)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/${script})
endforeach()

string(TIMESTAMP built "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE ${CMAKE_BINARY_DIR}/changelog "handoffd (${PROJECT_VERSION}) unstable; urgency=medium\n
  * See README.md for what this version does, and what it does not do yet.\n
 -- ${CPACK_PACKAGE_CONTACT}  ${built}\n")
install(FILES ${CMAKE_BINARY_DIR}/changelog ${CMAKE_CURRENT_LIST_DIR}/copyright DESTINATION share/doc/handoffd)
install(FILES ${CMAKE_SOURCE_DIR}/config/systemd/handoffd.service DESTINATION lib/systemd/system)
install(CODE [[
  set(share $ENV{DESTDIR}/usr/share)
  file(GLOB pages ${share}/man/man*/*.[1-9])
  execute_process(COMMAND gzip -9nf ${pages} ${share}/doc/handoffd/changelog COMMAND_ERROR_IS_FATAL ANY)
]])

include(CPack)

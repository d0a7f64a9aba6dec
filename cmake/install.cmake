# What `make install` writes: headers, both libraries, the command and its page, and the files by
# which find_package(refrain) and pkg-config find them. All of it may be moved as a whole.
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/refrain)

install(DIRECTORY include/refrain DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(TARGETS refrain_shared EXPORT refrain-shared)
install(TARGETS refrain_static EXPORT refrain-static)
install(EXPORT refrain-shared NAMESPACE refrain:: DESTINATION ${package})
install(EXPORT refrain-static NAMESPACE refrain:: DESTINATION ${package})
if(TARGET refrain_command)
    file(RELATIVE_PATH up ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
    set_target_properties(refrain_command PROPERTIES INSTALL_RPATH "$ORIGIN/${up}")
    install(TARGETS refrain_command)
endif()
file(GLOB pages CONFIGURE_DEPENDS man/*.1)
install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

write_basic_package_version_file(refrain-config-version.cmake COMPATIBILITY SameMinorVersion)
configure_package_config_file(cmake/refrain-config.cmake.in refrain-config.cmake
    INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
install(FILES ${PROJECT_BINARY_DIR}/refrain-config.cmake cmake/FindoneDNN.cmake
              ${PROJECT_BINARY_DIR}/refrain-config-version.cmake DESTINATION ${package})

# pkg-config: what the static library needs goes to Libs.private.
set(RF_PC_PRIVATE "-lm -lpthread")
if(CMAKE_DL_LIBS)
    string(APPEND RF_PC_PRIVATE " -l${CMAKE_DL_LIBS}")
endif()
if(OpenMP_C_FOUND)
    string(APPEND RF_PC_PRIVATE " ${OpenMP_C_FLAGS}")
endif()
if(oneDNN_FOUND)
    string(APPEND RF_PC_PRIVATE " -ldnnl")
endif()
file(RELATIVE_PATH RF_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/refrain.pc.in refrain.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/refrain.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
